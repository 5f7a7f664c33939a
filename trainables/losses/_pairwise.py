"""Pairwise terms: each pair once, in blocks; finite value and gradient on every batch, pairless ones included."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

BLOCK_ROWS = {"cpu": 128, "cuda": 4096}
"""Rows of the pair matrix that are worked on at a time: on a CPU a block stays in the cache, a GPU wants few kernels."""

LINEAR_ABOVE = 40.0
"""softplus(x) is x to float64's last digit above this; torch's own threshold of 20 leaves an error of 2e-9."""


def rank_stability_term(
    mean: Float[Tensor, " n"],
    activity: Float[Tensor, " n"],
    aleatoric_std: Float[Tensor, " n"],
    *,
    k: float,
    sigma: float = 1.0,
    weight_floor: float = 0.01,
) -> Float[Tensor, ""]:
    """The loss of `rank_stability`.

    (i, j) and (j, i) carry the same loss, so each pair is used once. A batch without a pair gives 0, with a gradient of
    0. Only `mean` gets a gradient.
    """
    loss: Tensor = _RankStability.apply(mean, activity, aleatoric_std, k, sigma, weight_floor)  # type: ignore[no-untyped-call]
    return loss


class _RankStability(torch.autograd.Function):
    """The loss and its gradient in one pass: autograd would keep, and read again, a dozen values a pair."""

    @staticmethod
    def forward(
        ctx: Any, mean: Tensor, activity: Tensor, aleatoric_std: Tensor, k: float, sigma: float, weight_floor: float
    ) -> Tensor:
        # In ascending order of activity, pair (i, j) with i < j is ranked right where its logit μ_j − μ_i is positive.
        order = torch.argsort(activity)
        y, scaled, k_variance = activity[order], sigma * mean[order], k * aleatoric_std[order].square()
        loss, weights, gradient = scaled.new_zeros(()), scaled.new_zeros(()), torch.zeros_like(scaled)
        rows = BLOCK_ROWS.get(mean.device.type, BLOCK_ROWS["cpu"])
        for start in range(0, len(mean), rows):
            i, j = slice(start, start + rows), slice(start, None)
            weight = torch.sigmoid(-(k_variance[i, None] + k_variance[None, j])).clamp_(min=weight_floor)
            weight *= y[None, j] > y[i, None]
            wrong = scaled[i, None] - scaled[None, j]
            weights += weight.sum()
            loss += (weight * softplus(wrong, threshold=LINEAR_ABOVE)).sum()
            slope = weight * torch.sigmoid(wrong)
            gradient[i] += slope.sum(dim=1)
            gradient[j] -= slope.sum(dim=0)
        # Dividing by the weights' sum is the mean over pairs of weights scaled to mean 1. The tiny lower bound acts
        # only where there is no pair: the weights are at least weight_floor elsewhere.
        weights = weights.clamp(min=torch.finfo(scaled.dtype).tiny)
        ctx.save_for_backward(torch.empty_like(gradient).index_copy_(0, order, sigma * gradient / weights))
        return loss / weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradients[0] * gradient, None, None, None, None, None
