"""Mean squared error: the study's baseline."""

from __future__ import annotations

import dataclasses

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.losses import Loss, Progress, Target
from nrtune.trainables.losses._pointwise import squared_error_term
from nrtune.trainables.models.prediction import Prediction


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeanSquaredError(Loss):
    """mean (μ − y)²."""

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        return squared_error_term(prediction.mean, target.activity)
