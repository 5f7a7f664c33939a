"""Noise gated MSE: squared error weighted by measured noise, and the noise-weighted ranking; for point heads."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss, Progress, Target
from nrtune.trainables.losses._pairwise import rank_stability_term
from nrtune.trainables.models.prediction import Prediction


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseGatedMSE(Loss):
    """mean w (μ − y)² + alpha · rank_stability(k), w = 1/(1 + s²) scaled to mean 1 over the batch."""

    needs_noise: ClassVar[bool] = True
    alpha: float = param(0.3, low=0)
    k: float = param(1.0, low=0)

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        weight = 1 / (1 + target.measured_std.square())
        error = (weight / weight.mean() * (prediction.mean - target.activity).square()).mean()
        ranking = rank_stability_term(prediction.mean, target.activity, target.measured_std, k=self.k)
        return error + self.alpha * ranking
