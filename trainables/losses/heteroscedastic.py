"""Heteroscedastic: Gaussian likelihood whose predicted variance is also tied to the measured one."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss, Progress, Target
from nrtune.trainables.losses._pointwise import bounded, gaussian_nll_term, variance_term
from nrtune.trainables.models.prediction import Prediction


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heteroscedastic(Loss):
    """mean ½[ℓ + (y − μ)²/exp ℓ] + lambda_var · mean (exp ℓ − s²)², ℓ clamped to [−10, 10] in both.

    The likelihood is that of Nix and Weigend 1994 (doi:10.1109/ICNN.1994.374138).
    """

    needs_log_variance: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = True
    lambda_var: float = param(0.5, low=0)

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        log_variance = bounded(prediction.predicted_log_variance)
        likelihood = gaussian_nll_term(prediction.mean, log_variance, target.activity)
        return likelihood + self.lambda_var * variance_term(log_variance, target.measured_std)
