"""Distributional: squared error on the mean, squared error on the variance."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss, Progress, Target
from nrtune.trainables.losses._pointwise import squared_error_term, variance_term
from nrtune.trainables.models.prediction import Prediction


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distributional(Loss):
    """mean (μ − y)² + lambda_var · mean (exp ℓ − s²)²."""

    needs_log_variance: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = True
    lambda_var: float = param(1.0, low=0)

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        error = squared_error_term(prediction.mean, target.activity)
        return error + self.lambda_var * variance_term(prediction.predicted_log_variance, target.measured_std)
