"""Intervals from resamples: the estimate ± t × standard error.

The standard error is the spread of the resamples and t Student's, with degrees of freedom from the numbers of blocks and
of seeds (Satterthwaite 1946, doi:10.2307/3002019): with five seeds a normal interval, or the resamples' own percentiles,
would be too narrow (docs/LOG.md has the coverage of each).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtrinc, stdtr, stdtrit

from nrtune.analysis.uncertainty.bootstrap import Floats


@dataclasses.dataclass(frozen=True)
class Resampled:
    """A metric of C configurations.

    estimate: (C,). samples: (C, resamples). of_seed, seeds: each training's own value, and its seed. block_freedom: blocks
    that were free to vary. bound: no value lies further from 0. unseen: what the seed of a single training adds to the
    variance, which no resample holds, and its degrees of freedom, (C, 2); zeros where that is nothing or unknown.
    """

    estimate: Floats
    samples: Floats
    of_seed: tuple[Floats, ...]
    seeds: tuple[tuple[int, ...], ...]
    block_freedom: int
    bound: float = math.inf
    unseen: Floats | None = None

    def map(self, function: Callable[[Floats], Floats]) -> Resampled:
        """The metric after an elementwise function, such as np.abs or np.negative."""
        estimate = function(self.estimate)
        return Resampled(
            estimate,
            function(self.samples),
            tuple(map(function, self.of_seed)),
            self.seeds,
            self.block_freedom,
            self.bound,
            self.unseen,
        )

    def unseen_of(self, *numbers: int) -> tuple[float, float]:
        """The unseen variance of a sum or difference of configurations, and its degrees of freedom, the fewer of them."""
        known = [] if self.unseen is None else [self.unseen[number] for number in numbers if self.unseen[number, 1] > 0]
        if not known:
            return 0.0, 1.0
        return float(sum(variance for variance, _ in known)), float(min(freedom for _, freedom in known))


SIGNIFICANT = 0.05
"""The level of every claim, after Holm's correction for the number of candidates."""

POWER = 0.8
"""How often an improvement as large as the minimum detectable one is found to be significant."""


class Interval(NamedTuple):
    """Estimates (C,) with the ends of their intervals and two-sided p-values of being 0; standard errors, degrees of freedom."""

    estimate: Floats
    low: Floats
    high: Floats
    p: Floats
    error: Floats
    freedom: Floats

    @property
    def holds_zero(self) -> NDArray[np.bool_]:
        """Whether an interval includes 0; one that is undefined does."""
        return ~((self.low > 0) | (self.high < 0))


def own_intervals(resampled: Resampled, level: float) -> Interval:
    """The interval of each configuration's own value."""
    spread = [_variance_of_mean(values) for values in resampled.of_seed]
    unseen = [resampled.unseen_of(number) for number in range(len(resampled.estimate))]
    found = _intervals(resampled.estimate, resampled.samples, np.array(spread), np.array(unseen), resampled, level)
    bound = resampled.bound
    return found._replace(low=found.low.clip(-bound, bound), high=found.high.clip(-bound, bound))


def paired_differences(resampled: Resampled, reference: int, level: float) -> Interval:
    """The interval of each configuration's value less that of the one at index `reference`, paired."""
    spread = [_spread_of_difference(resampled, number, reference) for number in range(len(resampled.estimate))]
    count = len(resampled.estimate)
    unseen = [resampled.unseen_of(number, reference) if number != reference else (0.0, 1.0) for number in range(count)]
    estimate = resampled.estimate - resampled.estimate[reference]
    differences = resampled.samples - resampled.samples[reference]
    return _intervals(estimate, differences, np.array(spread), np.array(unseen), resampled, level)


def _intervals(
    estimate: Floats, samples: Floats, of_seeds: Floats, unseen: Floats, resampled: Resampled, level: float
) -> Interval:
    """of_seeds: the part of each variance that is due to seeds; unseen: what is to be added; variance, degrees of freedom."""
    variance = ignoring_nan(np.nanvar, samples, ddof=1)
    variance = np.where(np.isfinite(estimate), variance, np.nan)
    due_to_seeds, seed_freedom = of_seeds[:, 0], of_seeds[:, 1]
    due_to_blocks = np.maximum(variance - due_to_seeds, 0)
    variance = variance + unseen[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = (due_to_seeds + due_to_blocks + unseen[:, 0]) ** 2 / (
            due_to_seeds**2 / seed_freedom
            + due_to_blocks**2 / max(resampled.block_freedom, 1)
            + unseen[:, 0] ** 2 / unseen[:, 1]
        )
    freedom = np.where(np.isfinite(freedom), freedom, max(resampled.block_freedom, 1))
    error = np.sqrt(variance)
    half = stdtrit(freedom, (1 + level) / 2) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * stdtr(freedom, -np.abs(estimate) / error)
    p = np.where(estimate == 0, 1.0, p)
    return Interval(estimate, estimate - half, estimate + half, p, error, freedom)


def minimum_detectable(error: float, freedom: float, comparisons: int) -> float:
    """The difference that is significant with probability POWER, of a standard error and its degrees of freedom.

    By the noncentral t distribution. comparisons: how many are made; the smallest p of them is what Holm's method
    multiplies by all.
    """
    critical = stdtrit(freedom, 1 - SIGNIFICANT / 2 / comparisons)
    return float(nctdtrinc(freedom, 1 - POWER, critical) * error)


def holm(p: Floats) -> Floats:
    """p-values (C,) corrected for being C, by Holm's step-down method (Holm 1979); NaN stays and does not count."""
    corrected = np.full(len(p), np.nan)
    defined = np.flatnonzero(np.isfinite(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    stepped = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    corrected[order] = stepped.clip(max=1)
    return corrected


def _variance_of_mean(values: Floats) -> tuple[float, float]:
    """The variance of a mean over n seeds and its degrees of freedom; (0, 1) for one."""
    if len(values) < 2:
        return 0.0, 1.0
    return float(np.var(values, ddof=1)) / len(values), len(values) - 1.0


def _spread_of_difference(resampled: Resampled, one: int, other: int) -> tuple[float, float]:
    """What seeds add to the variance of a difference of two means: paired where both have the same seeds."""
    first, second = resampled.of_seed[one], resampled.of_seed[other]
    if resampled.seeds[one] == resampled.seeds[other]:
        return _variance_of_mean(first - second)
    (v1, f1), (v2, f2) = _variance_of_mean(first), _variance_of_mean(second)
    if v1 + v2 == 0:
        return 0.0, 1.0
    return v1 + v2, (v1 + v2) ** 2 / (v1**2 / f1 + v2**2 / f2)


def ignoring_nan(function: Callable[..., Floats], values: Floats, axis: int = 1, **more: int) -> Floats:
    """nanmean or nanvar, NaN where nothing is defined."""
    defined = np.isfinite(values).sum(axis=axis) > more.get("ddof", 0)
    filled = np.where(np.expand_dims(defined, axis), values, 0.0)
    return np.where(defined, function(filled, axis=axis, **more), math.nan)
