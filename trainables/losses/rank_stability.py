"""Rank stability: order pairs of sequences, trusting a pair the less the noisier its two measurements are."""

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
class RankStability(Loss):
    """mean w_ij · BCE(sigmoid(sigma (μ_i − μ_j)), y_i > y_j) over the pairs with y_i ≠ y_j.

    w_ij = max(sigmoid(−k (s_i² + s_j²)), weight_floor), scaled to mean 1 over those pairs: `k` (1/activity²) sets how fast
    a pair's weight falls with its two variances, `sigma` (1/activity) the slope of the ranking. It is RankNet (Burges et
    al. 2005, doi:10.1145/1102351.1102363) with weights from measured noise. A ranking fixes no scale of μ.
    """

    needs_noise: ClassVar[bool] = True
    k: float = param(1.0, low=0)
    sigma: float = param(1.0, above=0)
    weight_floor: float = param(0.01, above=0, high=0.5)

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch; 0 where no two activities differ."""
        return rank_stability_term(
            prediction.mean,
            target.activity,
            target.measured_std,
            k=self.k,
            sigma=self.sigma,
            weight_floor=self.weight_floor,
        )
