"""Adaptive noise gated: as noise gated, its ranking switched on after a warm-up."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss, Progress, Target
from nrtune.trainables.losses.noise_gated import NoiseGated
from nrtune.trainables.models.prediction import Prediction


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptiveNoiseGated(Loss):
    """`noise_gated` whose alpha is 0 during warm-up and then rises linearly to `alpha` at the last epoch.

    `warmup_fraction` is the warm-up's share of the epochs (the study's: 10 of 80), so that it means the same under
    any budget.
    """

    needs_log_variance: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = True
    alpha: float = param(0.5, low=0)
    beta: float = param(0.1, low=0)
    k: float = param(1.0, low=0)
    warmup_fraction: float = param(0.125, low=0, high=0.95)

    def alpha_at(self, progress: Progress) -> float:
        """The ranking's weight in an epoch."""
        trained = (progress.epoch + 1) / progress.epochs
        return self.alpha * max(0.0, (trained - self.warmup_fraction) / (1 - self.warmup_fraction))

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        now = NoiseGated(alpha=self.alpha_at(progress), beta=self.beta, k=self.k)
        return now(prediction, target, progress)
