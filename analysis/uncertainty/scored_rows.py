"""The rows that configurations were scored on, and which of them are drawn together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.analysis.store.predictions import Predictions, same_rows, strata_of
from nrtune.analysis.uncertainty.block_length import LONGEST, even_length
from nrtune.analysis.uncertainty.bootstrap import Ints, position_blocks, random_blocks
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.randomness import derive_generator
from nrtune.trainables.data.loci import loci_of

TEST_BLOCKS = 40
"""Clusters of test sequences are independent: dealt at random into so many blocks, which tell the spread as well for less."""


class Configuration(NamedTuple):
    """What is compared: a name, and the predictions of its trainings with their seeds (one without replicates).

    family: whose variance over seeds its trainings have; "" for what no seed changes.
    """

    name: str
    seeds: tuple[int, ...]
    predictions: tuple[Predictions, ...]
    family: str = ""


class Rows(NamedTuple):
    """The rows that all M trainings were scored on, and their predictions (M, rows), as precise as they were stored."""

    table: pd.DataFrame
    predictions: NDArray[np.floating]


class Part(NamedTuple):
    """Variants that are scored together: strata (rows,) by name, the elements that means are over, the locus of each element."""

    name: str
    table: pd.DataFrame
    predictions: NDArray[np.floating]
    strata: Mapping[str, NDArray[np.bool_]]
    matched: tuple[str, ...]
    loci: Mapping[str, str]

    def of_locus(self, element: str) -> Ints:
        """Rows of the locus that an element is of."""
        here = self.table["element"].map(self.loci) == self.loci.get(element, element)
        return np.flatnonzero(here)

    @property
    def has_positions(self) -> bool:
        """Whether it is known which variants lie close together."""
        return "block" not in self.table

    def positions(self, element: str) -> Ints:
        """Positions of an element's rows, those of its locus's further chromosomes far behind."""
        locus = self.table.iloc[self.of_locus(element)]
        return apart(locus, LONGEST + 1)[(locus["element"] == element).to_numpy()]

    def blocks(self, element: str, length: int, seed: int, *, even: bool) -> tuple[Ints, int]:
        """The block of each of an element's rows, and how many its locus has: elements of one locus share blocks.

        length: base pairs. even: whether it is to be made such that blocks are of one size.
        """
        rows = self.of_locus(element)
        locus = self.table.iloc[rows]
        if self.has_positions:
            length = even_length(apart(locus, length), length) if even else length
            block = position_blocks(apart(locus, length), length)
        else:
            block = dealt(locus["block"].to_numpy(np.int64), seed, f"{self.name}/{element}")
        return block[(locus["element"] == element).to_numpy()], int(block.max()) + 1


def apart(rows: pd.DataFrame, block: int) -> Ints:
    """Positions (n,), those of each further chromosome so far behind that no block holds two."""
    pos = rows["pos"].to_numpy(np.int64)
    if "chrom" not in rows:
        return pos
    number = np.unique(rows["chrom"].to_numpy(str), return_inverse=True)[1]
    span = (int(pos.max() - pos.min()) // block + 2) * block
    found: Ints = pos + number * span
    return found


def dealt(cluster: Ints, seed: int, key: str) -> Ints:
    """Blocks (n,) of rows that are drawn together by their cluster: dealt at random into TEST_BLOCKS where there are more."""
    group: Ints = np.unique(cluster, return_inverse=True)[1].astype(np.int64)
    groups = int(group.max()) + 1
    if groups <= TEST_BLOCKS:
        return group
    return random_blocks(groups, TEST_BLOCKS, derive_generator(seed, "blocks", key, groups))[group]


def parts_of(benchmark: str, variants: Rows | None, matched: tuple[str, ...]) -> dict[str, Part]:
    """By how their metrics begin. matched: for tables that do not say which elements means are over."""
    if variants is None:
        return {}
    parts = {}
    strata, table = strata_of(variants.table), variants.table
    loci = loci_of(table["element"], table.get("chrom"), table["pos"])
    part = table["part"].to_numpy(str) if "part" in table else np.full(len(table), "")
    for name in map(str, pd.unique(part)):
        here = part == name
        of_part = table[here]
        means_over = tuple(of_part["element"][of_part["matched"]].unique()) if "matched" in of_part else matched
        parts[f"{benchmark}/{name}" if name else benchmark] = Part(
            name or benchmark,
            of_part,
            variants.predictions[:, here],
            {stratum: members[here] for stratum, members in strata.items()},
            means_over,
            loci,
        )
    return parts


class RowCollector:
    """Gathers what trainings predicted, a table at a time; but of the first table, columns of predictions alone are kept."""

    def __init__(self, *columns: str) -> None:
        self._columns: dict[str, list[NDArray[np.floating]] | None] = {column: [] for column in columns}
        self._first: pd.DataFrame | None = None
        self._named, self._unlike = "", ""

    def add(self, name: str, table: pd.DataFrame | None) -> None:
        """Take a training's table, of the configuration of this name; None where it has none."""
        for column, found in self._columns.items():
            if table is None or column not in table:
                self._columns[column] = None
            elif found is not None:
                # As it was stored: half the memory of what is computed with.
                kept = np.float32 if table[column].dtype == np.float32 else np.float64
                found.append(table[column].to_numpy(kept, copy=True))
        if table is None or all(found is None for found in self._columns.values()):
            return
        if self._first is None:
            self._first, self._named = table, name
        elif not same_rows(self._first, table):
            self._unlike = self._unlike or name
        elif "cluster" in table and "cluster" not in self._first:  # the first was stored before clusters were
            self._first = self._first.assign(cluster=table["cluster"].to_numpy())

    def rows(self, column: str) -> Rows | None:
        """What all predicted; None unless each has a table with the column. Raises UserError where their rows differ."""
        found = self._columns[column]
        if not found or self._first is None:
            return None
        if self._unlike:
            raise UserError(
                f"{self._unlike}: was not scored on the same rows as {self._named}; compare trials of the same data"
            )
        return Rows(self._first, np.stack(found))
