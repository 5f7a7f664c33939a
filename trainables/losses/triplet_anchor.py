"""Triplet anchor: a clean sequence is nearer to its farthest clean like than to its nearest noisy one, by a margin."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss, Progress, Target
from nrtune.trainables.losses._anchors import triplet_term
from nrtune.trainables.losses._pointwise import squared_error_term
from nrtune.trainables.models.prediction import Prediction


@dataclasses.dataclass(frozen=True, kw_only=True)
class TripletAnchor(Loss):
    """mean relu(d_pos − d_neg + margin) over the anchors that have both, plus `mse`.

    Anchors, positives and negatives are those of `contrastive_anchor`; d_pos is the distance to the farthest positive,
    d_neg that to the nearest negative, Euclidean between embeddings at length 1, so at most 2. Batch-hard mining is
    that of Hermans et al. 2017 (arXiv:1703.07737).
    """

    needs_noise: ClassVar[bool] = True
    margin: float = param(0.5, low=0)
    noise_quantile: float = param(0.5, low=0, high=1)
    activity_quantile: float = param(0.2, low=0, high=1)

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch; the triplets' part is 0 where no anchor has both a positive and a negative."""
        triplets = triplet_term(
            prediction.embedding,
            target.activity,
            target.measured_std,
            margin=self.margin,
            noise_quantile=self.noise_quantile,
            activity_quantile=self.activity_quantile,
        )
        return triplets + squared_error_term(prediction.mean, target.activity)
