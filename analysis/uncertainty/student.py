"""Intervals from resamples: the estimate ± t × standard error.

The standard error of a difference is the spread of the resamples, that of a value the delete-a-block jackknife's (Künsch 1989,
doi:10.1214/aos/1176347265), and t Student's, with degrees of freedom from the numbers of blocks and of seeds (Satterthwaite
1946, doi:10.2307/3002019): with five seeds a normal interval, or the resamples' own percentiles, would be too narrow
(docs/LOG.md has the coverage of each).

The variance over seeds of a configuration is the pooled one of all that were trained several times, or its own where that is
larger; of n seeds its degrees of freedom are 4 + n − 1, or the pool's where those are fewer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from nrtune.analysis.uncertainty.bootstrap import Floats


@dataclasses.dataclass(frozen=True)
class Resampled:
    """A metric of C configurations.

    estimate: (C,). samples: (C, resamples). of_seed, seeds: each training's own value, and its seed. block_freedom: blocks
    that were free to vary. bound: no value lies further from 0. seed_variance: that of one training, pooled over more than these
    configurations, and its degrees of freedom, (C, 2); zeros where it is unknown, or a seed changes nothing.
    of_blocks, apart: samples of each configuration's mean over all its seeds, (C, resamples), and by how far its seeds' samples
    lie from that, (seeds, resamples); None where resamples do not tell. value_variance, value_freedom: what blocks, longer than
    those of samples, make of a value's variance, by the jackknife, (C,), and its degrees of freedom; None where samples do for
    values. of_locus: (seeds, loci) of each configuration, where the metric is a mean over loci. blocks: base pairs of the blocks
    for values and for samples; None where no positions are drawn.
    """

    estimate: Floats
    samples: Floats
    of_seed: tuple[Floats, ...]
    seeds: tuple[tuple[int, ...], ...]
    block_freedom: float
    bound: float = math.inf
    seed_variance: Floats | None = None
    of_blocks: Floats | None = None
    apart: tuple[Floats, ...] | None = None
    value_variance: Floats | None = None
    value_freedom: float | None = None
    of_locus: tuple[Floats, ...] | None = None
    blocks: tuple[int, int] | None = None

    def map(self, function: Callable[[Floats], Floats]) -> Resampled:
        """The metric after an elementwise function, such as np.abs or np.negative."""
        return dataclasses.replace(
            self,
            estimate=function(self.estimate),
            samples=function(self.samples),
            of_blocks=None if self.of_blocks is None else function(self.of_blocks),
            of_seed=tuple(map(function, self.of_seed)),
            of_locus=None if self.of_locus is None else tuple(map(function, self.of_locus)),
        )


ROUNDING = 1e-12
"""A standard deviation over seeds below this is that of seeds which change nothing."""

SIGNIFICANT = 0.05
"""The level of every claim, after Holm's correction for the number of candidates."""


PRIOR_FREEDOM = 4
"""Degrees of freedom with which a pool tells the variance over seeds of one configuration: they differ (Smyth 2004,
doi:10.2202/1544-6115.1027; docs/LOG.md has what other numbers claim)."""


class Chunk(NamedTuple):
    """Some configurations of a `Resampled`, by their numbers: what its fields samples, of_blocks and apart have of them."""

    numbers: range
    samples: Floats
    of_blocks: Floats
    apart: tuple[Floats, ...]

    def map(self, function: Callable[[Floats], Floats]) -> Chunk:
        """As `Resampled.map`."""
        return self._replace(samples=function(self.samples), of_blocks=function(self.of_blocks))

    def only(self, number: int) -> Chunk:
        """One configuration of them."""
        at = number - self.numbers.start
        one = slice(at, at + 1)
        return Chunk(range(number, number + 1), self.samples[one].copy(), self.of_blocks[one].copy(), self.apart[one])


class Interval(NamedTuple):
    """Estimates (C,) with the ends of their intervals and two-sided p-values of being 0; standard errors, degrees of freedom.

    of_seeds, seed_freedom: the part of the squared error that is due to seeds, and its degrees of freedom.
    """

    estimate: Floats
    low: Floats
    high: Floats
    p: Floats
    error: Floats
    freedom: Floats
    of_seeds: Floats
    seed_freedom: Floats


class _Part(NamedTuple):
    """A part of a variance with its degrees of freedom."""

    variance: float
    freedom: float


_NOTHING = _Part(0.0, 1.0)


def own_intervals(resampled: Resampled, level: float) -> Interval:
    """The interval of each configuration's own value."""
    count = len(resampled.estimate)
    drawn = [_variance_of_mean(values) for values in resampled.of_seed]
    of_seeds = [_pooled(resampled, number) or drawn[number] for number in range(count)]
    of_blocks, freedom = resampled.value_variance, resampled.value_freedom
    if of_blocks is None or freedom is None:
        crossed = np.array([_crossed(apart) for apart in _whole(resampled).apart])
        of_blocks, freedom = _of_blocks(resampled.samples, drawn, crossed), resampled.block_freedom
    found = _intervals(resampled.estimate, of_blocks, freedom, of_seeds, level)
    bound = resampled.bound
    return found._replace(low=found.low.clip(-bound, bound), high=found.high.clip(-bound, bound))


def paired_differences(resampled: Resampled, reference: int, level: float) -> Interval:
    """The interval of each configuration's value less that of the one at index `reference`, paired."""
    whole = _whole(resampled)
    return differences(resampled, reference, spread_over(resampled, whole, whole.only(reference)), level)


def differences(resampled: Resampled, reference: int, of_blocks: Floats, level: float) -> Interval:
    """The same of what `spread_over` found of all configurations, (C,)."""
    drawn = [_spread_of_difference(resampled, number, reference) for number in range(len(resampled.estimate))]
    of_seeds = [_seeds_of_difference(resampled, number, reference) or part for number, part in enumerate(drawn)]
    estimate = resampled.estimate - resampled.estimate[reference]
    return _intervals(estimate, of_blocks, resampled.block_freedom, of_seeds, level)


def spread_over(resampled: Resampled, chunk: Chunk, reference: Chunk) -> Floats:
    """The variance due to blocks, (c,), of the difference of each configuration of a chunk to the one that `reference` has."""
    (other,) = reference.numbers
    drawn = [_spread_of_difference(resampled, number, other) for number in chunk.numbers]
    crossed = np.zeros(len(chunk.numbers))
    for at, (number, apart) in enumerate(zip(chunk.numbers, chunk.apart, strict=True)):
        if number != other:
            same = resampled.seeds[number] == resampled.seeds[other]
            crossed[at] = _crossed(apart, reference.apart[0], same_seeds=same)
    return _of_blocks(chunk.samples - reference.samples[0], drawn, crossed)


def placed(resampled: Resampled, generator: np.random.Generator, chunk: Chunk | None = None) -> Floats:
    """What values could have been on other blocks and with other seeds, (C, resamples): what configurations are ranked by.

    Blocks are drawn, the same for all; seeds move each mean by Student's t of their variance, less what they do on these blocks,
    which drawing blocks has added already. chunk: for these configurations, one chunk after the other.
    """
    chunk = chunk or _whole(resampled)
    drawn = chunk.of_blocks.copy()
    for number, values, apart in zip(chunk.numbers, drawn, chunk.apart, strict=True):
        seeds = _pooled(resampled, number) or _variance_of_mean(resampled.of_seed[number])
        rest = math.sqrt(max(seeds.variance - _crossed(apart), 0.0))
        noise = generator.standard_t(seeds.freedom, len(values))
        values += rest * noise if rest > ROUNDING else 0.0
    return drawn


def _whole(resampled: Resampled) -> Chunk:
    """All of it."""
    count = len(resampled.estimate)
    nothing = tuple(np.empty((1, 0)) for _ in range(count))
    of_blocks = resampled.samples if resampled.of_blocks is None else resampled.of_blocks
    return Chunk(range(count), resampled.samples, of_blocks, nothing if resampled.apart is None else resampled.apart)


def _of_blocks(samples: Floats, drawn: Sequence[_Part], crossed: Floats) -> Floats:
    """What of the variance of samples (C, resamples) is due to blocks; drawn: what seeds have added to it.

    crossed: what is due to a seed on a block. Drawing both counts that three times (Owen 2007, doi:10.1214/07-AOAS122), of
    which the part of the seeds holds one.
    """
    spread = ignoring_nan(np.nanvar, samples, ddof=1)
    return np.maximum(spread - [part.variance for part in drawn] - 2 * crossed, 0)


def _intervals(
    estimate: Floats, of_blocks: Floats, block_freedom: float, of_seeds: Sequence[_Part], level: float
) -> Interval:
    """of_blocks, of_seeds: the parts of the variance, each with its degrees of freedom."""
    of_blocks, block_freedom = np.where(np.isfinite(estimate), of_blocks, np.nan), max(block_freedom, 1)
    due_to_seeds, seed_freedom = np.array(of_seeds).T
    variance = of_blocks + due_to_seeds
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = variance**2 / (due_to_seeds**2 / seed_freedom + of_blocks**2 / block_freedom)
    freedom = np.where(np.isfinite(freedom), freedom, block_freedom)
    error = np.sqrt(variance)
    half = stdtrit(freedom, (1 + level) / 2) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * stdtr(freedom, -np.abs(estimate) / error)
    p = np.where(estimate == 0, 1.0, p)
    return Interval(estimate, estimate - half, estimate + half, p, error, freedom, due_to_seeds, seed_freedom)


def holm(p: Floats) -> Floats:
    """p-values (C,) corrected for being C, by Holm's step-down method (Holm 1979); NaN stays and does not count."""
    corrected = np.full(len(p), np.nan)
    defined = np.flatnonzero(np.isfinite(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    stepped = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    corrected[order] = stepped.clip(max=1)
    return corrected


def _variance_of_mean(values: Floats) -> _Part:
    """The variance of a mean over n seeds, by these alone; nothing for one."""
    if len(values) < 2:
        return _NOTHING
    return _Part(float(np.var(values, ddof=1)) / len(values), len(values) - 1.0)


def _spread_of_difference(resampled: Resampled, one: int, other: int) -> _Part:
    """What seeds add to the variance of a difference of two means: paired where both have the same seeds."""
    first, second = resampled.of_seed[one], resampled.of_seed[other]
    if resampled.seeds[one] == resampled.seeds[other]:
        return _variance_of_mean(first - second)
    return _sum(_variance_of_mean(first), _variance_of_mean(second))


def _pooled(resampled: Resampled, number: int) -> _Part | None:
    """The variance of a configuration's mean over its seeds by the pooled variance of one; None where that is unknown.

    Where its own trainings vary more, by theirs: configurations differ, and of the best by a mean those that vary most are many.
    And those are many whose own variance is larger than it looks, so that of a mean over several it has few degrees of freedom.
    """
    if resampled.seed_variance is None or not resampled.seed_variance[number, 1] > 0:
        return None
    variance, freedom = map(float, resampled.seed_variance[number])
    values = resampled.of_seed[number]
    if len(values) < 2:
        return _Part(variance, freedom)
    return _Part(max(variance, float(np.var(values, ddof=1))) / len(values), of_one(freedom, len(values)))


def of_one(freedom: float, seeds: int) -> float:
    """The degrees of freedom of the variance of one configuration with several seeds, of those of the pool."""
    return min(freedom, PRIOR_FREEDOM + seeds - 1)


def _seeds_of_difference(resampled: Resampled, one: int, other: int) -> _Part | None:
    """The same of a difference; None where it is of neither known, or of one and the same."""
    first, second = _pooled(resampled, one), _pooled(resampled, other)
    if one == other or (first is None and second is None):
        return None
    values = resampled.of_seed
    found = _sum(first or _variance_of_mean(values[one]), second or _variance_of_mean(values[other]))
    if first is not None and second is not None and resampled.seed_variance is not None:
        # Of one pool, or of pools that may share trainings.
        return found._replace(freedom=min(found.freedom, *resampled.seed_variance[[one, other], 1].tolist()))
    return found


def _sum(one: _Part, other: _Part) -> _Part:
    """Of independent parts (Satterthwaite)."""
    variance = one.variance + other.variance
    if variance == 0:
        return _NOTHING
    return _Part(variance, variance**2 / (one.variance**2 / one.freedom + other.variance**2 / other.freedom))


def _crossed(first: Floats, second: Floats | None = None, *, same_seeds: bool = False) -> float:
    """The variance that is due to seeds on blocks, of a mean over seeds or of a difference of two, of `apart` of either."""
    if second is None:
        return _variance_apart(first)
    if same_seeds:
        return _variance_apart(first - second)
    return _variance_apart(first) + _variance_apart(second)


def _variance_apart(apart: Floats) -> float:
    if len(apart) < 2:
        return 0.0
    return float(np.nanmean(ignoring_nan(np.nanvar, apart, ddof=1))) / (len(apart) - 1)


def ignoring_nan(function: Callable[..., Floats], values: Floats, axis: int = 1, **more: int) -> Floats:
    """nanmean or nanvar, NaN where nothing is defined."""
    defined = np.isfinite(values).sum(axis=axis) > more.get("ddof", 0)
    filled = np.where(np.expand_dims(defined, axis), values, 0.0)
    return np.where(defined, function(filled, axis=axis, **more), math.nan)
