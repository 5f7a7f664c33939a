"""What a comparison could have found: the improvement that it detects, and the seeds that an improvement needs."""

from __future__ import annotations

import dataclasses
import math

from scipy.special import nctdtrinc, stdtrit

from nrtune.analysis.uncertainty.student import SIGNIFICANT

POWER = 0.8
"""How often an improvement as large as the minimum detectable one is found to be significant."""

MOST_SEEDS = 1000
"""More are not asked for: what lacks then are variants."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Power:
    """Of the improvement of a winner over its baseline, the parts of its variance, and how many comparisons are made.

    of_seeds: with `seeds` trainings of either (the harmonic mean where they have not as many), of seed_freedom degrees of
    freedom; more trainings make it smaller. of_blocks: of variants, with block_freedom; nothing but other variants does.
    pooled: the variance over seeds comes from more configurations than these two, and has its degrees of freedom whatever the
    number of seeds.
    """

    of_seeds: float
    seed_freedom: float
    of_blocks: float
    block_freedom: float
    seeds: float
    comparisons: int
    pooled: bool

    def minimum_detectable(self, seeds: int | None = None) -> float:
        """The improvement that is significant with probability POWER, with these seeds of either, or so many."""
        times = 1.0 if seeds is None else seeds / self.seeds
        of_seeds, seed_freedom = self.of_seeds / times, self.seed_freedom
        if not self.pooled and seeds is not None:
            seed_freedom *= (seeds - 1) / (self.seeds - 1)
        variance = of_seeds + self.of_blocks
        freedom = variance**2 / (of_seeds**2 / seed_freedom + self.of_blocks**2 / self.block_freedom)
        return minimum_detectable(math.sqrt(variance), freedom, self.comparisons)

    def seeds_for(self, improvement: float) -> int | None:
        """How many seeds of either an improvement needs to be significant with probability POWER; None beyond MOST_SEEDS."""
        if not improvement > self.minimum_detectable(MOST_SEEDS):
            return None
        low, high = 1, MOST_SEEDS  # too few, enough
        while high - low > 1:
            middle = (low + high) // 2
            if self.minimum_detectable(middle) <= improvement:
                high = middle
            else:
                low = middle
        return high


def minimum_detectable(error: float, freedom: float, comparisons: int) -> float:
    """The difference that is significant with probability POWER, of a standard error and its degrees of freedom.

    By the noncentral t distribution. comparisons: how many are made; the smallest p of them is what Holm's method
    multiplies by all.
    """
    critical = stdtrit(freedom, 1 - SIGNIFICANT / 2 / comparisons)
    return float(nctdtrinc(freedom, 1 - POWER, critical) * error)
