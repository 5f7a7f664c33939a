"""Uniform: a shuffled pass over all training rows."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.samplers import Sampler, TrainRows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Uniform(Sampler):
    """Every training row once, in a fresh order each epoch."""

    def epoch_rows(self, rows: TrainRows, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return a permutation of the training rows."""
        return generator.permutation(len(rows.activity))
