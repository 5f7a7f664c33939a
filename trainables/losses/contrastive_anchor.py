"""Contrastive anchor: clean sequences of like activity embed alike, noisy ones of that activity apart from them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss, Progress, Target
from nrtune.trainables.losses._anchors import contrastive_term
from nrtune.trainables.losses._pointwise import squared_error_term
from nrtune.trainables.models.prediction import Prediction


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContrastiveAnchor(Loss):
    """mean −log( exp(z_i·z_p/T) / (exp(z_i·z_p/T) + Σ_n exp(z_i·z_n/T)) ) over (anchor i, positive p), plus `mse`.

    z are embeddings at length 1, T the `temperature`. A row is low if s is under the batch's `noise_quantile`; two are
    similar if |y_i − y_j| is under the `activity_quantile` of the batch's differences that are not 0. Anchors and
    positives are low and similar, negatives n similar and not low. After InfoNCE (van den Oord et al. 2018,
    arXiv:1807.03748) and supervised contrast (Khosla et al. 2020, arXiv:2004.11362).
    """

    needs_noise: ClassVar[bool] = True
    temperature: float = param(0.1, above=0)
    noise_quantile: float = param(0.5, low=0, high=1)
    activity_quantile: float = param(0.1, low=0, high=1)

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch; the contrast is 0 where no anchor has both a positive and a negative."""
        contrast = contrastive_term(
            prediction.embedding,
            target.activity,
            target.measured_std,
            temperature=self.temperature,
            noise_quantile=self.noise_quantile,
            activity_quantile=self.activity_quantile,
        )
        return contrast + squared_error_term(prediction.mean, target.activity)
