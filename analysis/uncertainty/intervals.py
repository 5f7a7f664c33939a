"""Metrics of configurations, resampled: how far each could have come out otherwise on other variants and other seeds.

Blocks of consecutive positions are drawn within each locus, clusters of test sequences within the test split, the same
for every configuration, so that differences are paired. Of a configuration with seed replicates, replicates are drawn
too, the same seeds for all configurations that have the same; `nrtune.analysis.uncertainty.student` makes intervals of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from nrtune.analysis.selection.seed_variance import UNKNOWN, Pooled, SeedVariance
from nrtune.analysis.uncertainty.bootstrap import Floats, Ints, draw_counts
from nrtune.analysis.uncertainty.scored_rows import Configuration as Configuration
from nrtune.analysis.uncertainty.scored_rows import Part, parts_of, rows_of_all
from nrtune.analysis.uncertainty.statistics import Combination, statistic_of
from nrtune.analysis.uncertainty.student import Interval, Resampled, own_intervals, paired_differences
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.randomness import derive_generator


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
        tests = [member.test for member in members]
        self._tests = {
            column: rows_of_all(configurations, tests, column) for column in ("prediction", "calibrated_prediction")
        }
        self._parts: dict[str, Part] = {}
        for name in dict.fromkeys(name for member in members for name in member.effects):
            tables = [member.effects.get(name) for member in members]
            self._parts |= parts_of(name, rows_of_all(configurations, tables, "variant_effect"), tuple(matched))
        self._found: dict[str, Resampled | None] = {}
        self._samples: dict[tuple[str, int], tuple[Floats, int]] = {}

    def metric(self, name: str) -> Resampled | None:
        """A metric by its full name; None where the predictions do not tell it."""
        if name not in self._found:
            statistic = statistic_of(name, self._tests, self._parts)
            self._found[name] = None if statistic is None else self._resampled(name, statistic)
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
            seed_variance=np.array([self._seed_variance(name, of) for of in self.configurations], np.float64),
            value_variance=variance,
            value_freedom=freedom,
        )

    def _resampled(self, name: str, statistic: Combination) -> Resampled:
        members, of_locus, given = self._members(), statistic.of_loci(), self.how.block
        of_value, of_difference = (given, given) if given else statistic.block_lengths(members)
        samples, freedom = self._drawn(statistic, of_difference, centred=len(members) > 1)
        split = [np.flatnonzero(members == number) for number in range(len(self.configurations))]
        return dataclasses.replace(
            self._of_values(name, statistic, of_value),
            samples=self._over_seeds(samples),
            block_freedom=freedom,
            of_blocks=np.stack([samples[rows].mean(axis=0) for rows in split]),
            apart=tuple(_apart(samples[rows]) for rows in split),
            of_locus=None if of_locus is None else tuple(of_locus[rows] for rows in split),
            blocks=(of_value, of_difference) if statistic.has_positions else None,
        )

    def _without(self, statistic: Combination, length: int) -> dict[str, Floats]:
        """Each term (M, blocks) without each of its locus's blocks of a length."""
        found = {}
        for key, term in statistic.terms.items():
            block, blocks = term.blocks(length, self.how.seed, even=self.how.block is None)
            found[key] = term.samples(block, 1.0 - np.eye(blocks))
        return found

    def _drawn(self, statistic: Combination, length: int, *, centred: bool) -> tuple[Floats, float]:
        """Samples (M, resamples) of M trainings in blocks of a length, and the degrees of freedom of their variance.

        centred: whether it is the variance of what trainings differ by, not of their values.
        """
        drawn = {term.key: self._of_term(term.key, length, statistic) for _, terms in statistic.means for term in terms}
        samples = {key: one for key, (one, _) in drawn.items()}
        return statistic.combine(samples), statistic.freedom(drawn, centred=centred)

    def _of_term(self, key: str, length: int, statistic: Combination) -> tuple[Floats, int]:
        """A term's samples (M, resamples), and how many blocks were drawn."""
        if (key, length) not in self._samples:
            term = statistic.terms[key]
            block, blocks = term.blocks(length, self.how.seed, even=self.how.block is None)
            counts = draw_counts(
                blocks, self.how.resamples, derive_generator(self.how.seed, "resample", term.drawn_as, blocks)
            )
            self._samples[key, length] = term.samples(block, counts), blocks
        return self._samples[key, length]

    def _over_seeds(self, drawn: Floats) -> Floats:
        """Samples (C, resamples) of configurations: means over replicates drawn anew in each, one fewer than there are."""
        samples, first = [], 0
        for configuration in self.configurations:
            count = len(configuration.seeds)
            of_seeds = drawn[first : first + count]
            first += count
            if count > 1:
                generator = derive_generator(self.how.seed, "replicates", *configuration.seeds)
                weights = draw_counts(count, self.how.resamples, generator) / (count - 1)
                of_seeds = np.einsum("br,rb->b", weights, of_seeds)[None]
            samples.append(of_seeds[0])
        return np.stack(samples)

    def _seed_variance(self, metric: str, of: Configuration) -> Pooled:
        return self.seed_variance.of(metric, of.family) if self.seed_variance and of.family else UNKNOWN


def _apart(samples: Floats) -> Floats:
    """By how far the samples (seeds, resamples) of each seed lie from their mean; of a single one nothing is kept."""
    return samples - samples.mean(axis=0) if len(samples) > 1 else np.empty((1, 0))
