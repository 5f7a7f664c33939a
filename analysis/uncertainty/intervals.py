"""Metrics of configurations, resampled: how far each could have come out otherwise on other variants and other seeds.

Blocks of consecutive positions are drawn within each element, blocks of test sequences within the test split, the same
for every configuration, so that differences are paired. Of a configuration with seed replicates, replicates are drawn
too, the same seeds for all configurations that have the same; `nrtune.analysis.uncertainty.student` makes intervals of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.analysis.store.predictions import Predictions, same_rows, strata_of
from nrtune.analysis.uncertainty.bootstrap import (
    Floats,
    Ints,
    draw_counts,
    mean_samples,
    pearson_samples,
    position_blocks,
    random_blocks,
    spearman_samples,
)
from nrtune.analysis.uncertainty.seed_variance import UNKNOWN, Pooled, SeedVariance
from nrtune.analysis.uncertainty.student import Interval, Resampled, ignoring_nan, own_intervals, paired_differences
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.randomness import derive_generator
from nrtune.trainables.evaluation.metrics import MIN_STRATUM, pearson, spearman

TEST_BLOCKS = 40
"""Test sequences are independent: dealt at random into so many blocks, which tell the spread as well and cost less."""

KINDS = {"spearman": (spearman, spearman_samples), "pearson": (pearson, pearson_samples)}
MEAN = "mean"
_STATISTICS = {**KINDS, MEAN: (lambda rows, _: float(rows.mean()), mean_samples)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resampling:
    """How to resample: how often, over blocks of how many base pairs, at which confidence level, from which seed."""

    resamples: int = 10_000
    block: int = 10
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what gives no interval. Raises UserError."""
        if self.resamples < 100:
            raise UserError(f"{self.resamples} resamples are too few for an interval; take 100 or more")
        if self.block < 1:
            raise UserError(f"a block has 1 position or more, not {self.block}")
        if not 0.5 <= self.level < 1:
            raise UserError(f"a confidence level lies between 0.5 and 1, not at {self.level}")


class Configuration(NamedTuple):
    """What is compared: a name, and the predictions of its trainings with their seeds (one without replicates).

    family: whose variance over seeds its trainings have; "" for what no seed changes.
    """

    name: str
    seeds: tuple[int, ...]
    predictions: tuple[Predictions, ...]
    family: str = ""


class Resampler:
    """Resamples metrics of configurations, each metric once.

    `matched`: the elements that a mean is over where the predictions do not say. seed_variance: what is known of it beyond
    these configurations. Raises UserError where the configurations were not scored on the same rows.
    """

    def __init__(
        self,
        configurations: Sequence[Configuration],
        matched: Sequence[str],
        how: Resampling | None = None,
        seed_variance: SeedVariance | None = None,
    ) -> None:
        self.configurations, self.how = tuple(configurations), how or Resampling()
        self.seed_variance = seed_variance
        members = [predictions for configuration in self.configurations for predictions in configuration.predictions]
        self._test = _together(configurations, [member.test for member in members], "prediction")
        self._calibrated = _together(configurations, [member.test for member in members], "calibrated_prediction")
        self._parts: dict[str, _Part] = {}
        for name in dict.fromkeys(name for member in members for name in member.effects):
            tables = [member.effects.get(name) for member in members]
            self._parts |= _parts_of(name, _together(configurations, tables, "variant_effect"), tuple(matched))
        self._found: dict[str, Resampled | None] = {}
        self._of_element: dict[tuple[str, str, str, str], _Members | None] = {}

    def metric(self, name: str) -> Resampled | None:
        """A metric by its full name; None where the predictions do not tell it."""
        if name not in self._found:
            members = self._members(name)
            self._found[name] = None if members is None else self._of_configurations(name, members)
        return self._found[name]

    def interval(self, resampled: Resampled) -> Interval:
        """The interval of each configuration's own value."""
        return own_intervals(resampled, self.how.level)

    def differences(self, resampled: Resampled, reference: int) -> Interval:
        """The interval of each configuration's value less that of the one at index `reference`, paired."""
        return paired_differences(resampled, reference, self.how.level)

    def _members(self, name: str) -> _Members | None:
        parts = name.split("/")
        match parts:
            case ["test", kind] if kind in KINDS and self._test is not None:
                return self._of_test(kind, self._test.predictions, "activity")
            case ["test", "mse"] if self._test is not None:
                squares = (self._test.predictions - self._test.rows["activity"].to_numpy(np.float64)) ** 2
                return self._of_test(MEAN, squares, "activity")._replace(bound=math.inf)
            case ["noise", "corr"] if self._test is not None and "aleatoric_std" in self._test.rows:
                errors = np.abs(self._test.predictions - self._test.rows["activity"].to_numpy(np.float64))
                return self._of_test("pearson", errors, "aleatoric_std")
            case ["noise", "corr_calibrated"] if (
                self._calibrated is not None and "aleatoric_std" in self._calibrated.rows
            ):
                errors = np.abs(self._calibrated.predictions - self._calibrated.rows["activity"].to_numpy(np.float64))
                return self._of_test("pearson", errors, "aleatoric_std")
            case [*_, "hc_lc_gap"]:
                high, low = (
                    self._members(name.removesuffix("hc_lc_gap") + f"spearman/{stratum}/{MEAN}")
                    for stratum in ("hc", "lc")
                )
                if high is None or low is None:
                    return None
                return _Members(high.estimate - low.estimate, high.samples - low.samples, high.block_freedom, 2.0)
            case [*prefix, kind, stratum, element] if kind in KINDS:
                return self._of_variants("/".join(prefix), kind, stratum, element)
        return None

    def _of_test(self, kind: str, predicted: Floats, column: str) -> _Members:
        assert self._test is not None
        value = self._test.rows[column].to_numpy(np.float64)
        generator = derive_generator(self.how.seed, "test blocks", len(value))
        return self._resample(kind, predicted, value, random_blocks(len(value), TEST_BLOCKS, generator), "test")

    def _of_variants(self, part: str, kind: str, stratum: str, element: str) -> _Members | None:
        """An element, or the mean over the matched ones without those whose correlation is undefined."""
        if part not in self._parts or stratum not in self._parts[part].strata:
            return None
        elements = self._parts[part].matched if element == MEAN else (element,)
        found = [m for e in elements if (m := self._element(part, kind, stratum, e)) is not None]
        if not found:
            return None
        estimate = ignoring_nan(np.nanmean, np.stack([m.estimate for m in found]), axis=0)
        total, count = np.zeros_like(found[0].samples), np.zeros_like(found[0].samples)
        for member in found:
            defined = np.isfinite(member.samples)
            total += np.where(defined, member.samples, 0)
            count += defined
        with np.errstate(invalid="ignore"):
            samples = total / count
        return _Members(estimate, samples, sum(m.block_freedom for m in found))

    def _element(self, part: str, kind: str, stratum: str, element: str) -> _Members | None:
        key = part, kind, stratum, element
        if key not in self._of_element:
            self._of_element[key] = self._of_one_element(*key)
        return self._of_element[key]

    def _of_one_element(self, part: str, kind: str, stratum: str, element: str) -> _Members | None:
        variants = self._parts[part]
        table = variants.rows
        here = (table["element"] == element).to_numpy()
        if not here.any():
            return None
        if "block" in table:
            block = self._dealt(table["block"].to_numpy(np.int64)[here], f"{part}/{element}")
        else:
            block = position_blocks(_apart(table[here], self.how.block), self.how.block)
        chosen = variants.strata[stratum][here]
        if chosen.sum() < MIN_STRATUM:
            return None
        value = table["value"].to_numpy(np.float64)[here][chosen]
        effects = variants.predictions[:, here][:, chosen]
        key = f"{part.rpartition('/')[2]}/{element}"  # of a part's own name
        return self._resample(kind, effects, value, block[chosen], key, int(block.max()) + 1)

    def _dealt(self, number: Ints, key: str) -> Ints:
        """Blocks of rows that are drawn together by their numbers: dealt at random into TEST_BLOCKS where there are more."""
        group: Ints = np.unique(number, return_inverse=True)[1].astype(np.int64)
        groups = int(group.max()) + 1
        if groups <= TEST_BLOCKS:
            return group
        return random_blocks(groups, TEST_BLOCKS, derive_generator(self.how.seed, "blocks", key, groups))[group]

    def _resample(
        self, kind: str, predictions: Floats, value: Floats, block: Ints, key: str, blocks: int | None = None
    ) -> _Members:
        """blocks: how many there are where some may hold none of these rows: the same are drawn for every stratum."""
        blocks = blocks or int(block.max()) + 1
        generator = derive_generator(self.how.seed, "resample", key, blocks)
        counts = draw_counts(blocks, self.how.resamples, generator)
        plain, resampled = _STATISTICS[kind]
        estimate = np.array([plain(prediction, value) for prediction in predictions])
        return _Members(estimate, resampled(predictions, value, block, counts), blocks - 1)

    def _of_configurations(self, name: str, members: _Members) -> Resampled:
        """Means over the replicates of each configuration; in each resample over replicates drawn anew, one fewer."""
        estimates, samples, of_seed = [], [], []
        first = 0
        for configuration in self.configurations:
            rows = slice(first, first + len(configuration.seeds))
            first = rows.stop
            values, drawn = members.estimate[rows], members.samples[rows]
            of_seed.append(values)
            estimates.append(float(values.mean()))
            if len(values) == 1:
                samples.append(drawn[0])
                continue
            generator = derive_generator(self.how.seed, "replicates", *configuration.seeds)
            weights = draw_counts(len(values), self.how.resamples, generator) / (len(values) - 1)
            samples.append(np.einsum("br,rb->b", weights, drawn))
        return Resampled(
            np.array(estimates),
            np.stack(samples),
            tuple(of_seed),
            tuple(configuration.seeds for configuration in self.configurations),
            members.block_freedom,
            members.bound,
            np.array([self._seed_variance(name, of) for of in self.configurations], np.float64),
        )

    def _seed_variance(self, metric: str, of: Configuration) -> Pooled:
        return self.seed_variance.of(metric, of.family) if self.seed_variance and of.family else UNKNOWN


def _apart(rows: pd.DataFrame, block: int) -> Ints:
    """Positions (n,), those of each further chromosome so far behind that no block holds two."""
    pos = rows["pos"].to_numpy(np.int64)
    if "chrom" not in rows:
        return pos
    number = np.unique(rows["chrom"].to_numpy(str), return_inverse=True)[1]
    span = (int(pos.max() - pos.min()) // block + 2) * block
    apart: Ints = pos + number * span
    return apart


class _Members(NamedTuple):
    """A metric of M trainings: estimate (M,), samples (M, resamples), free blocks, and the furthest a value lies from 0."""

    estimate: Floats
    samples: Floats
    block_freedom: int
    bound: float = 1.0


class _Together(NamedTuple):
    """The rows that all trainings were scored on, and their predictions (M, rows)."""

    rows: pd.DataFrame
    predictions: Floats


class _Part(NamedTuple):
    """Variants that are scored together: rows, predictions (M, rows), strata (rows,) by name, what means are over."""

    rows: pd.DataFrame
    predictions: Floats
    strata: Mapping[str, NDArray[np.bool_]]
    matched: tuple[str, ...]


def _parts_of(benchmark: str, variants: _Together | None, matched: tuple[str, ...]) -> dict[str, _Part]:
    """By how their metrics begin. matched: for tables that do not say which elements means are over."""
    if variants is None:
        return {}
    parts = {}
    strata, rows = strata_of(variants.rows), variants.rows
    part = rows["part"].to_numpy(str) if "part" in rows else np.full(len(rows), "")
    for name in map(str, pd.unique(part)):
        here = part == name
        of_part = rows[here]
        means_over = tuple(of_part["element"][of_part["matched"]].unique()) if "matched" in of_part else matched
        prefix = f"{benchmark}/{name}" if name else benchmark
        parts[prefix] = _Part(
            of_part,
            variants.predictions[:, here],
            {stratum: members[here] for stratum, members in strata.items()},
            means_over,
        )
    return parts


def _together(
    configurations: Sequence[Configuration], tables: Sequence[pd.DataFrame | None], column: str
) -> _Together | None:
    """None unless every training has a table with the column."""
    if not tables or any(table is None or column not in table for table in tables):
        return None
    first = tables[0]
    assert first is not None
    names = [configuration.name for configuration in configurations for _ in configuration.predictions]
    found = []
    for name, table in zip(names, tables, strict=True):
        assert table is not None
        if not same_rows(first, table):
            raise UserError(f"{name}: was not scored on the same rows as {names[0]}; compare trials of the same data")
        found.append(table[column].to_numpy(np.float64))
    return _Together(first, np.stack(found))
