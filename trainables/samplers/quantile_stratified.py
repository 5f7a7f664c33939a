"""Quantile stratified: as many rows from each quantile of activity, clean ones the likelier."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.component import param
from nrtune.trainables.samplers import Sampler, TrainRows
from nrtune.trainables.samplers._draws import draw_from_quantiles


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantileStratified(Sampler):
    """Equal counts from each of `n_quantiles` quantiles of activity, with replacement.

    Inside a quantile p = (1 − noise_weight) · uniform + noise_weight · normalised 1/(1 + s). The study's
    quantile_noise_weighted is `noise_weight` 0.5. Quantiles that equal activities leave empty are left out.
    """

    n_quantiles: int = param(10, low=1)
    noise_weight: float = param(0.0, low=0, high=1)

    @property
    def needs_noise(self) -> bool:
        """Whether rows are weighted by their noise."""
        return self.noise_weight > 0

    def epoch_rows(self, rows: TrainRows, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return as many indices as there are rows, shuffled."""
        return draw_from_quantiles(rows, self.n_quantiles, self.noise_weight, generator)
