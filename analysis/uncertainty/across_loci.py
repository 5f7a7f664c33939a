"""Intervals across elements: would it hold for a new one? Student's t over the loci's own values, whatever the variants say.

Loci are drawn from all that there could be, and trainings from all seeds. Of a mean over n seeds and L loci the variance is that
of the loci's means divided by L, and what a seed does to all loci alike divided by n (a two-way layout of random effects,
Searle, Casella and McCulloch 1992, doi:10.1002/9780470316856, chapter 4).
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr, stdtrit

from nrtune.analysis.uncertainty.bootstrap import Floats
from nrtune.analysis.uncertainty.student import Interval, Resampled

FEWEST_LOCI = 3
"""Of two loci an interval would be 12.7 standard errors wide to either side."""


def loci_of_metric(resampled: Resampled) -> int:
    """How many loci there are an interval across, 0 where there is none."""
    if resampled.of_locus is None:
        return 0
    loci = resampled.of_locus[0].shape[1]
    means = np.array([of.mean() for of in resampled.of_locus])
    # What is not a mean over loci, such as the size of one, has no interval across them.
    return loci if loci >= FEWEST_LOCI and np.allclose(means, resampled.estimate, rtol=0, atol=1e-9) else 0


def value_across_loci(resampled: Resampled, level: float) -> Interval | None:
    """The interval of each configuration's value for the elements that there could be; None with fewer than FEWEST_LOCI."""
    if not loci_of_metric(resampled):
        return None
    common, freedom = _seeds_alike(resampled)
    counts = np.array([len(seeds) for seeds in resampled.seeds])
    return _interval(_by_locus(resampled), common / counts, freedom, level)


def difference_across_loci(resampled: Resampled, reference: int, level: float) -> Interval | None:
    """The same of each configuration's value less that of the one at index `reference`."""
    if not loci_of_metric(resampled):
        return None
    common, freedom = _seeds_alike(resampled)
    counts = np.array([len(seeds) for seeds in resampled.seeds])
    of_seeds = common / counts + common[reference] / counts[reference]
    of_seeds[reference] = 0.0
    by_locus = _by_locus(resampled)
    return _interval(by_locus - by_locus[reference], of_seeds, np.minimum(freedom, freedom[reference]), level)


def _by_locus(resampled: Resampled) -> Floats:
    """Means over seeds, (C, loci)."""
    assert resampled.of_locus is not None
    return np.stack([of.mean(axis=0) for of in resampled.of_locus])


def _seeds_alike(resampled: Resampled) -> tuple[Floats, Floats]:
    """The variance of what a seed does to all loci alike, (C,), and its degrees of freedom.

    Pooled over configurations with several seeds; of a single training that of its metric, `Resampled.seed_variance`.
    """
    assert resampled.of_locus is not None
    total, freedom = 0.0, 0
    for of in resampled.of_locus:
        seeds, loci = of.shape
        if seeds > 1:
            rest = of - of.mean(axis=0) - of.mean(axis=1, keepdims=True) + of.mean()
            apart = float((rest**2).sum()) / ((seeds - 1) * (loci - 1))
            total += (seeds - 1) * (float(np.var(of.mean(axis=1), ddof=1)) - apart / loci)
            freedom += seeds - 1
    pooled = max(total / freedom, 0.0) if freedom else 0.0
    common, free = np.full(len(resampled.seeds), pooled), np.full(len(resampled.seeds), float(max(freedom, 1)))
    known = resampled.seed_variance
    for number, seeds_of in enumerate(resampled.seeds):
        if len(seeds_of) == 1 and known is not None and known[number, 1] > 0:
            common[number], free[number] = known[number]
    return common, free


def _interval(by_locus: Floats, of_seeds: Floats, seed_freedom: Floats, level: float) -> Interval:
    loci = by_locus.shape[1]
    estimate, of_loci = by_locus.mean(axis=1), by_locus.var(axis=1, ddof=1) / loci
    variance = of_loci + of_seeds
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = variance**2 / (of_loci**2 / (loci - 1) + of_seeds**2 / seed_freedom)
        freedom = np.where(np.isfinite(freedom), freedom, loci - 1.0)
        error = np.sqrt(variance)
        p = np.where(estimate == 0, 1.0, 2 * stdtr(freedom, -np.abs(estimate) / error))
    half = stdtrit(freedom, (1 + level) / 2) * error
    return Interval(estimate, estimate - half, estimate + half, p, error, freedom, of_seeds, seed_freedom)
