"""Variant benchmarks: measured effects of sequence variants that trials are scored on. One file each, whose name it has.

A file defines a `Benchmark`, BENCHMARK: how a folder or a file is read into one `VariantSet`, in which nothing but its
contents tells one benchmark from another.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import ObjectRegistry
from nrtune.trainables.data.benchmarks._windows import distinct_windows, sequence_windows
from nrtune.trainables.data.dataset import array_digest
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.loci import loci_of

REF, ALT = "REF", "ALT"
"""Alleles of variants of which the sequences alone are known."""

MOST_NAMES = 255
"""Elements and strata are numbered in a byte."""

DELETION = "-"
"""The allele of a deletion, in a table that has one base a row."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class VariantSet:
    """V variants with their measured effects, and the windows that predict them.

    benchmark: the registered name, with which its metrics begin. title: the benchmark's for people. name: that of the folder
    or file. assembly: of the positions, or "". cell_line: whose elements are matched, or "". elements: names. matched: the
    elements that means are over. parts: names of the parts that are scored apart; "" is a part
    without a name of its own. selectable: the parts that selection may look at. strata: names of disjoint groups.

    element, part, stratum: (V,) uint8, indices into these; without strata, `stratum` is all 0. chrom: (V,), "" where
    unknown. pos: (V,) int64, 1-based.
    ref, alt: (V,) alleles. value: (V,) float64, the measured effect, log2 of an MPRA. standard_error: (V,) of it, or None.
    identity: (V,) int64, variants of one number are one, however an indel of them is written; None: those of one pos, ref and
    alt. block: (V,) int64, variants of one number are drawn together in a bootstrap; None: those of neighbouring positions.
    ref_mismatch: (V,) bool, ref differs from the reference sequence. windows: (W, length) uint8 tokens, each distinct
    window once; ref_window, alt_window: (V,) int64, rows of `windows`. columns: further columns (V,) of its table, by name.
    notes: what the reader did, and what a user should know. findings: what the reader alone could find out, for the audit.
    digest: 16 hex digits of all that a score depends on.
    """

    benchmark: str
    title: str
    name: str
    assembly: str
    cell_line: str
    elements: tuple[str, ...]
    matched: tuple[str, ...]
    parts: tuple[str, ...]
    selectable: tuple[str, ...]
    strata: tuple[str, ...]
    element: NDArray[np.uint8]
    part: NDArray[np.uint8]
    stratum: NDArray[np.uint8]
    chrom: NDArray[np.str_]
    pos: NDArray[np.int64]
    ref: NDArray[np.str_]
    alt: NDArray[np.str_]
    value: NDArray[np.float64]
    standard_error: NDArray[np.float64] | None = None
    identity: NDArray[np.int64] | None = None
    block: NDArray[np.int64] | None = None
    ref_mismatch: NDArray[np.bool_]
    windows: NDArray[np.uint8]
    ref_window: NDArray[np.int64]
    alt_window: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.generic]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    digest: str

    def __len__(self) -> int:
        return len(self.pos)

    def __repr__(self) -> str:
        return f"VariantSet({self.title}, {self.name}: {len(self)} variants, means over {', '.join(self.matched)})"

    @property
    def prefixes(self) -> dict[str, str]:
        """How the metrics of each part begin."""
        return {part: f"{self.benchmark}/{part}" if part else self.benchmark for part in self.parts}

    def called(self, part: str) -> str:
        """A part for people: the benchmark, where the part has no name of its own."""
        return part or self.benchmark

    def rows(self, element: str, part: str | None = None) -> NDArray[np.int64]:
        """Indices of an element's variants in a part, the first if none is named, in file order."""
        number = 0 if part is None else self.parts.index(part)
        return np.flatnonzero((self.element == self.elements.index(element)) & (self.part == number))

    def in_strata(self) -> dict[str, NDArray[np.bool_]]:
        """Which variants are in each stratum, (V,) each: `all` first, then by its name."""
        named = {name: self.stratum == number for number, name in enumerate(self.strata)}
        return {"all": np.ones(len(self), bool), **named}

    @functools.cached_property
    def loci(self) -> dict[str, str]:
        """The locus of each element: elements that overlap are one, called after the first of them."""
        return loci_of(np.array(self.elements)[self.element], self.chrom, self.pos)

    @property
    def matched_loci(self) -> list[list[str]]:
        """The matched elements, those of one locus together."""
        found: dict[str, list[str]] = {}
        for element in self.matched:
            found.setdefault(self.loci[element], []).append(element)
        return list(found.values())

    @property
    def scattered(self) -> bool:
        """Whether some element lies on several chromosomes, so that a position alone does not name a variant."""
        return bool(len(np.unique(np.stack([self.element.astype(np.str_), self.chrom]), axis=1).T) > len(self.elements))

    def groups(self) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
        """Part, element and rows of each that has any."""
        for part in self.parts:
            for element in self.elements:
                if len(rows := self.rows(element, part)):
                    yield part, element, rows

    def counts(self) -> pd.DataFrame:
        """One row an element and part: element, part, n, a column a stratum, deletions, ref_mismatch, matched."""
        strata, deleted = self.in_strata(), self.alt == DELETION
        records = [
            {
                "element": element,
                "part": part,
                "n": len(rows),
                **{name: int(strata[name][rows].sum()) for name in self.strata},
                "deletions": int(deleted[rows].sum()),
                "ref_mismatch": int(self.ref_mismatch[rows].sum()),
                "matched": element in self.matched,
            }
            for part, element, rows in self.groups()
        ]
        order = {name: number for number, name in enumerate(self.elements)}
        return pd.DataFrame.from_records(sorted(records, key=lambda record: order[str(record["element"])]))

    def table(self) -> pd.DataFrame:
        """One row a variant.

        Columns: element, matched (whether means are over it), part, stratum, pos, ref, alt, value, those of `columns`,
        ref_mismatch and, where they are known, chrom, standard_error and block.
        """
        elements = np.array(self.elements)[self.element]
        known = {
            "element": elements,
            "matched": np.isin(elements, self.matched),
            "part": np.array(self.parts)[self.part],
            "stratum": np.array(self.strata)[self.stratum] if self.strata else np.full(len(self), ""),
            "pos": self.pos,
            "ref": self.ref,
            "alt": self.alt,
            "value": self.value,
            **self.columns,
            "ref_mismatch": self.ref_mismatch,
        }
        known |= {"chrom": self.chrom} if (self.chrom != "").all() else {}
        optional = {"standard_error": self.standard_error, "block": self.block}
        return pd.DataFrame(known | {name: column for name, column in optional.items() if column is not None})

    @classmethod
    def from_sequences(
        cls,
        *,
        benchmark: str,
        title: str,
        name: str,
        length: int,
        ref: Sequence[str],
        alt: Sequence[str],
        value: ArrayLike,
        element: Sequence[str] | None = None,
        notes: tuple[str, ...] = (),
    ) -> VariantSet:
        """Variants of which nothing is known but the V sequences before and after, and the effects.

        length: bases of a model's sequences; shorter ones are padded with N. element: of each variant; without it all are one,
        of the name `name`. Raises UserError for a sequence that is longer, or holds another letter than A C G T N.
        """
        of_each = [name] * len(ref) if element is None else list(element)
        elements = tuple(dict.fromkeys(of_each))
        if len(elements) > MOST_NAMES:
            raise UserError(f"{name}: has {len(elements)} elements; up to {MOST_NAMES} can be told apart")
        index = np.array([elements.index(of) for of in of_each], np.uint8)
        effect, number = np.asarray(value, np.float64), np.arange(1, len(ref) + 1, dtype=np.int64)
        windows, ref_window, alt_window = distinct_windows(sequence_windows(ref, alt, length, name))
        names = np.frombuffer("\n".join(elements).encode(), np.uint8)
        return cls(
            benchmark=benchmark,
            title=title,
            name=name,
            assembly="",
            cell_line="",
            elements=elements,
            chrom=np.full(len(ref), ""),
            matched=elements,
            parts=("",),
            selectable=(),
            strata=(),
            element=index,
            part=np.zeros(len(ref), np.uint8),
            stratum=np.zeros(len(ref), np.uint8),
            pos=number,
            ref=np.full(len(ref), REF),
            alt=np.full(len(ref), ALT),
            value=effect,
            block=number,
            ref_mismatch=np.zeros(len(ref), bool),
            windows=windows,
            ref_window=ref_window,
            alt_window=alt_window,
            notes=notes,
            digest=array_digest(names, index, effect, windows, ref_window, alt_window),
        )

    def subset(self, chosen: NDArray[np.bool_], matched: tuple[str, ...]) -> VariantSet:
        """The variants chosen by (V,) flags, with means over these elements; the digest stays that of all."""
        of_each = [f.name for f in dataclasses.fields(self) if isinstance(getattr(self, f.name), np.ndarray)]
        kept = {name: getattr(self, name)[chosen] for name in of_each if name != "windows"}
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return dataclasses.replace(self, matched=matched, columns=columns, **kept)


class Reader(Protocol):
    """Reads a benchmark's folder or file for a model of sequences of so many bases."""

    def __call__(self, path: Path, /, *, length: int, cell_line: str | None) -> VariantSet:
        """Read it; cell_line: None for the usual one. Raises UserError."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """An entry of the registry.

    title: for people. reported: the part that answers are reported on, "" for one without a name; `parts` are read from the
    data. selectable: the part that stands for it in selection, None where there is none. recognises: whether a folder or file
    looks like one of these. cell_line_of: the cell line that a folder or file tells of itself, None where it does not.
    """

    title: str
    read: Reader
    recognises: Callable[[Path], bool]
    reported: str = ""
    selectable: str | None = None
    cell_line_of: Callable[[Path], str | None] = dataclasses.field(default_factory=lambda: _no_cell_line)


def _no_cell_line(path: Path) -> None:
    return None


BENCHMARKS: ObjectRegistry[Benchmark] = ObjectRegistry("nrtune.trainables.data.benchmarks", "benchmark", Benchmark)


def reported_prefix(name: str) -> str:
    """How the reported metrics of a registered benchmark begin, such as cagi5/challenge."""
    reported = BENCHMARKS.get(name).reported
    return f"{name}/{reported}" if reported else name
