"""How long the blocks of positions must be that are drawn: as long as the data say that neighbours are alike.

The variance that a block bootstrap finds is too small by about G / (b σ²) of itself, of blocks of b positions; σ² = Σ R(k) and
G = Σ |k| R(k) over all lags, of the autocovariances R of the influence function along positions (Künsch 1989,
doi:10.1214/aos/1176347265). Both are estimated with the flat-top window and the bandwidth of Politis and White 2004,
doi:10.1081/ETR-120028836 (corrected by Patton, Politis and White 2009, doi:10.1080/07474930802459016). Their length has the
least mean squared error of the variance, and leaves much of it bias, of which an interval knows nothing; that a variance comes of
few blocks Student's t does know. So the length here is the one that leaves a bias of BIAS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nrtune.analysis.uncertainty.bootstrap import Floats, Ints

SHORTEST, LONGEST = 10, 100
"""Base pairs of a block."""

BIAS = 0.05
"""The part of the variance that blocks may miss, by the estimate; of long memory the estimate misses some as well."""

FEWEST_BLOCKS = 4
"""Blocks that a locus is parted into at least: with fewer, Student's t makes intervals wider than a short block's bias does."""

STEP = 5
"""Lengths are multiples of it, so that metrics of the same elements share resamples."""

_CONSECUTIVE = 5
"""Autocorrelations that must be insignificant in a row, for all that follow to be taken for 0."""


def along_positions(influence: Floats, pos: Ints) -> Floats:
    """Sums of influences (C, n) at each position, (C, positions) from the first to the last; 0 where there is no row.

    Stretches without a row that are longer than LONGEST are cut to that: nothing is correlated across them.
    """
    distinct, at = np.unique(pos, return_inverse=True)
    place = np.concatenate([[0], np.cumsum(np.minimum(np.diff(distinct), LONGEST + 1))])[at]
    return np.stack([np.bincount(place, row) for row in influence])


def autocovariances(series: Sequence[Floats]) -> Floats:
    """Sums over series (C, positions) of products of values at lags 0 to 2 LONGEST, (lags,): of the variance of their total."""
    found = np.zeros(2 * LONGEST + 1)
    for one in series:
        for lag in range(min(len(found), one.shape[1])):
            found[lag] += np.einsum("cp,cp->", one[:, : one.shape[1] - lag], one[:, lag:])
    return found


def choose_length(series: Sequence[Floats]) -> int:
    """The length in base pairs of blocks for a statistic whose influences (C, positions) along each of its loci are given."""
    covariance, n = autocovariances(series), max(sum(one.shape[1] for one in series), 2)
    if not covariance[0] > 0:
        return SHORTEST
    bandwidth = 2 * _last_correlated(covariance / covariance[0], n)
    lag = np.arange(1, min(bandwidth, len(covariance) - 1) + 1)
    window = np.minimum(1, 2 * (1 - lag / max(bandwidth, 1)))
    variance = covariance[0] + 2 * float(window @ covariance[lag])
    bias = 2 * float((window * lag) @ covariance[lag])
    length = bias / (BIAS * variance) if variance > 0 else LONGEST
    return int(np.clip(STEP * math.ceil(length / STEP), SHORTEST, LONGEST))


def _last_correlated(correlation: Floats, n: int) -> int:
    """The lag behind which autocorrelations (lags,) of n positions are not told from 0."""
    most = min(math.ceil(math.sqrt(n)) + _CONSECUTIVE, LONGEST)
    significant = np.abs(correlation[1 : most + _CONSECUTIVE + 1]) > 2 * math.sqrt(math.log10(n) / n)
    for last in range(most):
        if not significant[last : last + _CONSECUTIVE].any():
            return max(last, 1)
    return most


def even_length(pos: Ints, length: int) -> int:
    """The length near `length` that parts positions (n,) into blocks of one size, and into FEWEST_BLOCKS or more."""
    span = int(pos.max() - pos.min()) + 1
    return math.ceil(span / max(round(span / length), min(FEWEST_BLOCKS, span)))
