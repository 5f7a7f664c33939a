"""Noise gated: Gaussian likelihood and a ranking that trusts a pair the less the noisier it is."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss, Progress, Target
from nrtune.trainables.losses._pairwise import rank_stability_term
from nrtune.trainables.losses.heteroscedastic import Heteroscedastic
from nrtune.trainables.models.prediction import Prediction


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseGated(Loss):
    """mean ½[ℓ + (y − μ)²/exp ℓ] + alpha · rank_stability(k) + beta · mean (exp ℓ − s²)², ℓ clamped to [−10, 10].

    `alpha` weighs the ranking, `beta` (1/activity⁴) ties the predicted variance to the measured one, `k` (1/activity²)
    is that of `rank_stability`.
    """

    needs_log_variance: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = True
    alpha: float = param(0.3, low=0)
    beta: float = param(0.1, low=0)
    k: float = param(1.0, low=0)

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        likelihood = Heteroscedastic(lambda_var=self.beta)(prediction, target, progress)
        ranking = rank_stability_term(prediction.mean, target.activity, target.measured_std, k=self.k)
        return likelihood + self.alpha * ranking
