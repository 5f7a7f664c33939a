"""Hard negative: rows near the median activity, where the order is hard to tell, and clean ones the likelier."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.component import param
from nrtune.trainables.samplers import Sampler, TrainRows
from nrtune.trainables.samplers._draws import draw


@dataclasses.dataclass(frozen=True, kw_only=True)
class HardNegative(Sampler):
    """Draws with replacement, p ∝ exp(score / temperature), score = 1/(1 + |y − median y|) · 1/(1 + s).

    The score is at most 1: at `temperature` 1 the likeliest row is at most e times as likely as any other.
    """

    temperature: float = param(1.0, above=0)

    @property
    def needs_noise(self) -> bool:
        """Always: the score is made of it."""
        return True

    def epoch_rows(self, rows: TrainRows, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return as many indices as there are rows."""
        activity = rows.activity.astype(np.float64)
        score = 1 / (1 + np.abs(activity - np.median(activity))) / (1 + rows.measured_std)
        return draw(np.exp((score - score.max()) / self.temperature), len(activity), generator)
