"""What a comparison could have found: the improvement that it detects, and the seeds that an improvement needs."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri, stdtrit

from nrtune.analysis.selection.candidates import MIN_SEEDS
from nrtune.analysis.uncertainty.bootstrap import Floats
from nrtune.analysis.uncertainty.student import SIGNIFICANT, of_one

POWER = 0.8
"""How often an improvement as large as the minimum detectable one is found to be significant."""

MOST_SEEDS = 1000
"""More are not asked for: what lacks then are variants."""

POINTS = 1021
"""Points at which estimates of variances are taken; with 100,000 power differs by less than 0.003."""


class _Estimated(NamedTuple):
    """What estimates of variances make of a test.

    error: the true standard error of an improvement. critical: the improvement from which on it is significant, (POINTS,).
    """

    error: float
    critical: Floats

    def power(self, improvement: float) -> float:
        """The probability that a true improvement is significant."""
        return float(ndtr((improvement - self.critical) / self.error).mean())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Power:
    """Of the test of a winner against its baseline: the variances that it meets, and how many comparisons are made.

    winner_variance, baseline_variance: over seeds, of one training, as pooled with those degrees of freedom, its own trainings'
    among them; winner_seeds, baseline_seeds: how many these are. of_blocks: the variance of the improvement that is due to
    variants, with block_freedom; nothing but other variants makes it smaller.

    Pooled variances and those of blocks are taken for the true ones, and values for normal. The test itself goes by the larger of
    the pooled and a configuration's own variance, so that its standard error is too large on average; both are estimates, and
    power is the mean over what they could have been (`nrtune.analysis.uncertainty.student`). The smallest p of all comparisons is
    what Holm's method multiplies by their number.
    """

    winner_variance: float
    winner_freedom: float
    winner_seeds: int
    baseline_variance: float
    baseline_freedom: float
    baseline_seeds: int
    of_blocks: float
    block_freedom: float
    comparisons: int

    def power(self, improvement: float, seeds: int | None = None) -> float:
        """The probability that a true improvement is significant, with these seeds of either, or so many."""
        return self._estimated(seeds).power(improvement)

    def minimum_detectable(self, seeds: int | None = None) -> float:
        """The improvement that is significant with probability POWER, with these seeds of either, or so many."""
        estimated = self._estimated(seeds)
        low, high = 0.0, float(estimated.critical.max() + ndtri(POWER) * estimated.error)
        while low < (middle := (low + high) / 2) < high and high - low > 1e-9 * high:
            low, high = (low, middle) if estimated.power(middle) >= POWER else (middle, high)
        return high

    def seeds_for(self, improvement: float) -> int | None:
        """How many seeds of either an improvement needs to be significant with probability POWER; None beyond MOST_SEEDS."""
        if not self.power(improvement, MOST_SEEDS) >= POWER:
            return None
        low, high = MIN_SEEDS - 1, MOST_SEEDS  # too few for a test, enough
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.power(improvement, middle) >= POWER else (middle, high)
        return high

    @property
    def _is_one_pool(self) -> bool:
        """Whether both have their variance from the same trainings."""
        return (self.winner_variance, self.winner_freedom) == (self.baseline_variance, self.baseline_freedom)

    def _estimated(self, seeds: int | None) -> _Estimated:
        n = np.array([self.winner_seeds, self.baseline_seeds] if seeds is None else [seeds, seeds])
        variance = np.array([self.winner_variance, self.baseline_variance])
        pool_freedom = np.array([self.winner_freedom, self.baseline_freedom])
        known = np.array([self.winner_seeds, self.baseline_seeds]) - 1.0  # degrees of freedom of own trainings
        members = np.ones((2, 2)) if self._is_one_pool else np.eye(2)  # whose own trainings are in whose pool
        others = np.maximum(pool_freedom - members @ known, 0.0)
        at = _points()
        own = _chi_squared(n - 1.0, at[:2])
        rest = _chi_squared(others, at[[2, 2]] if self._is_one_pool else at[2:4])
        freedom = others + members @ (n - 1.0)
        pooled = (rest + members @ own) / freedom[:, None]
        larger = np.maximum(pooled, own / (n - 1.0)[:, None])
        of_seeds = (variance / n)[:, None] * larger
        of_one_each = [of_one(of, int(seeds)) for of, seeds in zip(freedom, n, strict=True)]
        seed_freedom = _satterthwaite(of_seeds, of_one_each).clip(1, freedom.min())
        of_blocks = self.of_blocks * _chi_squared(np.array([self.block_freedom]), at[4:])[0] / self.block_freedom
        parts = np.stack([of_seeds.sum(axis=0), of_blocks])
        total = parts.sum(axis=0)
        satterthwaite = _satterthwaite(parts, [seed_freedom, self.block_freedom])
        critical = stdtrit(satterthwaite, 1 - SIGNIFICANT / 2 / self.comparisons) * np.sqrt(total)
        return _Estimated(math.sqrt(float((variance / n).sum()) + self.of_blocks), critical)


def _satterthwaite(parts: Floats, freedom: Sequence[float | Floats]) -> Floats:
    """Degrees of freedom (POINTS,) of the sum of parts of a variance (k, POINTS)."""
    shares = parts / np.maximum(parts.sum(axis=0), np.finfo(float).tiny)
    found: Floats = 1 / np.maximum(sum(of_all**2 / of for of_all, of in zip(shares, freedom, strict=True)), 1e-12)
    return found


def _chi_squared(freedom: Floats, at: Floats) -> Floats:
    """Quantiles (k, POINTS) of chi-squared distributions of these degrees of freedom (k,); 0 where these are none."""
    found: Floats = np.where(freedom > 0, 2 * gammaincinv(np.maximum(freedom, 1) / 2, at.T), 0.0).T
    return found


@functools.cache
def _points() -> Floats:
    """Points (5, POINTS) that fill a cube evenly: multiples of five numbers that no fraction comes near (Roberts 2018).

    The numbers are powers of the root of x⁶ = x + 1.
    """
    root = 1.0
    for _ in range(64):
        root = (1 + root) ** (1 / 6)
    steps = root ** -np.arange(1.0, 6.0)
    return (0.5 + steps[:, None] * np.arange(1, POINTS + 1)) % 1
