"""Metrics of configurations, resampled: how far each could have come out otherwise on other variants and other seeds.

Blocks of consecutive positions are drawn within each locus, clusters of test sequences within the test split, the same
for every configuration, so that differences are paired. Of a configuration with seed replicates, replicates are drawn
too, the same seeds for all configurations that have the same; `nrtune.analysis.uncertainty.student` makes intervals of them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from nrtune.analysis.selection.seed_variance import UNKNOWN, SeedVariance
from nrtune.analysis.uncertainty.bootstrap import Floats, Ints
from nrtune.analysis.uncertainty.combination import Combination
from nrtune.analysis.uncertainty.draws import Draws, HeldSamples
from nrtune.analysis.uncertainty.scored_rows import Configuration as Configuration
from nrtune.analysis.uncertainty.scored_rows import Part, RowCollector, parts_of
from nrtune.analysis.uncertainty.statistics import statistic_of
from nrtune.analysis.uncertainty.student import (
    Chunk,
    Interval,
    Resampled,
    differences,
    own_intervals,
    paired_differences,
    spread_over,
)
from nrtune.trainables.core.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resampling:
    """How to resample: how often, over blocks of how many base pairs, at which confidence level, from which seed.

    block: None to choose from the data, for each metric one length for values and one for differences.
    """

    resamples: int = 10_000
    block: int | None = None
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what gives no interval. Raises UserError."""
        if self.resamples < 100:
            raise UserError(f"{self.resamples} resamples are too few for an interval; take 100 or more")
        if self.block is not None and self.block < 1:
            raise UserError(f"a block has 1 position or more, not {self.block}")
        if not 0.5 <= self.level < 1:
            raise UserError(f"a confidence level lies between 0.5 and 1, not at {self.level}")


class Resampler:
    """Resamples metrics of configurations.

    `matched`: the elements that a mean is over where the predictions do not say. seed_variance: what is known of it beyond
    these configurations. held: samples that are kept, with those of other resamplers. step: is told how many parts of how many of
    a metric are computed. Of the configurations' predictions columns are kept, not tables: they may come one after the other.
    Raises UserError where the configurations were not scored on the same rows.
    """

    def __init__(
        self,
        configurations: Iterable[Configuration],
        matched: Sequence[str],
        how: Resampling | None = None,
        seed_variance: SeedVariance | None = None,
        *,
        held: HeldSamples | None = None,
        step: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self.how, self.seed_variance = how or Resampling(), seed_variance
        self._held, self._step = held or HeldSamples(), step
        self._owner = self._held.owner()
        tests = RowCollector("prediction", "calibrated_prediction")
        effects: dict[str, RowCollector] = {}
        known: list[Configuration] = []
        trainings = 0
        for configuration in configurations:
            for member in configuration.predictions:
                tests.add(configuration.name, member.test)
                for name in dict.fromkeys([*effects, *member.effects]):
                    if name not in effects:
                        effects[name] = RowCollector("variant_effect")
                        for _ in range(trainings):
                            effects[name].add("", None)
                    effects[name].add(configuration.name, member.effects.get(name))
                trainings += 1
            known.append(configuration._replace(predictions=()))
        self.configurations = tuple(known)
        self._tests = {column: tests.rows(column) for column in ("prediction", "calibrated_prediction")}
        self._parts: dict[str, Part] = {}
        for name, collected in effects.items():
            self._parts |= parts_of(name, collected.rows("variant_effect"), tuple(matched))
        self._found: dict[str, Drawn | None] = {}

    def metric(self, name: str) -> Resampled | None:
        """A metric by its full name, of all configurations at once; None where the predictions do not tell it."""
        if (drawn := self.drawn(name)) is None:
            return None
        chunks = list(drawn.draws)
        return dataclasses.replace(
            drawn.resampled,
            samples=np.concatenate([chunk.samples for chunk in chunks]),
            of_blocks=np.concatenate([chunk.of_blocks for chunk in chunks]),
            apart=tuple(apart for chunk in chunks for apart in chunk.apart),
            block_freedom=drawn.draws.freedom,
        )

    def drawn(self, name: str) -> Drawn | None:
        """The same without samples, and what draws those, of some configurations at a time."""
        if name not in self._found:
            statistic = statistic_of(name, self._tests, self._parts)
            self._found[name] = None if statistic is None else self._drawn(name, statistic)
        return self._found[name]

    def values(self, name: str) -> Interval | None:
        """The interval of each configuration's own value of a metric, for which nothing is drawn; None as `metric`."""
        statistic = statistic_of(name, self._tests, self._parts)
        if statistic is None:
            return None
        length = self.how.block or statistic.block_lengths(self._members())[0]
        return own_intervals(self._of_values(name, statistic, length), self.how.level)

    def interval(self, resampled: Resampled) -> Interval:
        """The interval of each configuration's own value."""
        return own_intervals(resampled, self.how.level)

    def differences(self, resampled: Resampled, reference: int) -> Interval:
        """The interval of each configuration's value less that of the one at index `reference`, paired."""
        return paired_differences(resampled, reference, self.how.level)

    def _members(self) -> Ints:
        """The configuration of each training."""
        return np.repeat(np.arange(len(self.configurations)), [len(of.seeds) for of in self.configurations])

    def _of_values(self, name: str, statistic: Combination, length: int) -> Resampled:
        """A metric with the variance of its values, by blocks of a length; without samples."""
        estimate, members = statistic.estimate(), self._members()
        variance, freedom = statistic.jackknife(self._without(statistic, length), members)
        split = [np.flatnonzero(members == number) for number in range(len(self.configurations))]
        return Resampled(
            estimate=np.array([estimate[rows].mean() for rows in split]),
            samples=np.empty((len(split), 0)),
            of_seed=tuple(estimate[rows] for rows in split),
            seeds=tuple(configuration.seeds for configuration in self.configurations),
            block_freedom=freedom,
            bound=statistic.bound,
            seed_variance=self._seed_variances(name),
            value_variance=variance,
            value_freedom=freedom,
        )

    def _drawn(self, name: str, statistic: Combination) -> Drawn:
        members, of_locus, given = self._members(), statistic.of_loci(), self.how.block
        of_value, of_difference = (given, given) if given else statistic.block_lengths(members)
        split = [np.flatnonzero(members == number) for number in range(len(self.configurations))]
        resampled = dataclasses.replace(
            self._of_values(name, statistic, of_value),
            of_locus=None if of_locus is None else tuple(of_locus[rows] for rows in split),
            blocks=(of_value, of_difference) if statistic.has_positions else None,
        )
        draws = Draws(statistic, of_difference, resampled.seeds, self.how, self._held, self._owner, self._step)
        return Drawn(resampled, draws, self.how.level)

    def _without(self, statistic: Combination, length: int) -> dict[str, Floats]:
        """Each term (M, blocks) without each of its locus's blocks of a length."""
        found = {}
        for key, term in statistic.terms.items():
            block, blocks = term.blocks(length, self.how.seed, even=self.how.block is None)
            found[key] = term.samples(block, 1.0 - np.eye(blocks))
        return found

    def _seed_variances(self, metric: str) -> Floats:
        families = {of.family for of in self.configurations}
        known = {
            family: self.seed_variance.of(metric, family) if self.seed_variance and family else UNKNOWN
            for family in families
        }
        return np.array([known[of.family] for of in self.configurations], np.float64)


class Drawn(NamedTuple):
    """A metric of configurations without its samples, and what draws those."""

    resampled: Resampled
    draws: Draws
    level: float

    def differences(self, references: Iterable[int], orient: Callable[[Floats], Floats]) -> dict[int, Interval]:
        """The interval of each configuration's value less that of each of those at some indices, paired.

        orient: an elementwise function that values go through before, such as np.negative.
        """
        rows = {number: row.map(orient) for number, row in self.draws.only(list(dict.fromkeys(references))).items()}
        found: dict[int, list[Floats]] = {number: [] for number in rows}
        oriented = self.resampled.map(orient)
        for chunk in map(functools.partial(Chunk.map, function=orient), self.draws):
            for number, row in rows.items():
                found[number].append(spread_over(oriented, chunk, row))
        resampled = dataclasses.replace(oriented, block_freedom=self.draws.freedom)
        return {number: differences(resampled, number, np.concatenate(of), self.level) for number, of in found.items()}
