"""Draws with replacement, vectorised: a cumulative sum and a binary search for all rows at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.samplers import TrainRows


def draw(weight: NDArray[np.float64], size: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw `size` indices into `weight` (N,), each with a probability proportional to its weight."""
    cumulative = np.cumsum(weight)
    places: NDArray[np.int64] = np.searchsorted(cumulative, generator.random(size) * cumulative[-1], side="right")
    return places.clip(max=len(weight) - 1)  # a product that rounds up to the sum would be one too far


def draw_from_quantiles(
    rows: TrainRows, n_quantiles: int, noise_weight: float, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw as many rows as there are, an equal number from each quantile of activity, in a random order.

    What is left over after equal numbers goes to quantiles drawn at random, one row each. Inside a quantile
    p = (1 − noise_weight)/size + noise_weight · normalised 1/(1 + s).
    """
    # A row is in the quantile whose lower bound it reaches; equal activities share one.
    bounds = np.quantile(rows.activity.astype(np.float64), np.arange(1, n_quantiles) / n_quantiles)
    bins = np.searchsorted(bounds, rows.activity, side="right")
    _, bins = np.unique(bins, return_inverse=True)
    sizes = np.bincount(bins)
    weight = np.full(len(bins), (1 - noise_weight) / sizes[bins])
    if noise_weight > 0:
        certainty = 1 / (1 + rows.measured_std)
        weight += noise_weight * certainty / np.bincount(bins, certainty)[bins]
    # Each quantile weighs 1 in all: of rows laid out by quantile, quantile b takes the stretch from b to b + 1.
    by_bin = np.argsort(bins, kind="stable")
    cumulative = np.cumsum(weight[by_bin])
    counts = np.full(len(sizes), len(bins) // len(sizes))
    counts[generator.permutation(len(sizes))[: len(bins) % len(sizes)]] += 1
    of = np.repeat(np.arange(len(sizes)), counts)
    ends = np.cumsum(sizes)
    places = np.searchsorted(cumulative, of + generator.random(len(bins)), side="right")
    places = np.clip(places, (ends - sizes)[of], ends[of] - 1)  # rounding must not carry a draw into the next quantile
    return generator.permutation(by_bin[places])
