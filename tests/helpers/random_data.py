"""Data without any signal, for what is compared to a literal definition."""

from __future__ import annotations

import numpy as np

from nrtune.trainables.data.dataset import Dataset


def random_dataset(n: int, length: int, seed: int = 0) -> Dataset:
    """Random bases, of which 1 in 50 is N, and random activity; half of the rows train, a quarter each validate and test."""
    generator = np.random.default_rng(seed)
    return Dataset(
        name="random",
        tokens=generator.choice(5, (n, length), p=[0.245] * 4 + [0.02]).astype(np.uint8),
        activity=generator.normal(size=n).astype(np.float32),
        aleatoric_std=generator.gamma(2, 0.2, size=n).astype(np.float32),
        split=generator.permutation(np.arange(n) % 4 - 1).clip(0).astype(np.uint8),
    )
