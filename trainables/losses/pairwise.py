"""Pairwise terms, vectorised: O(n²) memory, finite value and gradient on every batch, pairless ones included."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus


def upper_pairs(n: int, device: torch.device) -> Int[Tensor, "2 pairs"]:
    """Indices i < j of all n(n-1)/2 pairs."""
    return torch.triu_indices(n, n, offset=1, device=device)


def rank_stability_term(
    mean: Float[Tensor, " n"],
    activity: Float[Tensor, " n"],
    aleatoric_std: Float[Tensor, " n"],
    *,
    k: float,
    sigma: float,
    weight_floor: float,
) -> Float[Tensor, ""]:
    """Noise-weighted pairwise logistic ranking loss (RankNet, Burges et al. 2005, with weights from measured noise).

    w_ij = max(sigmoid(−k (s_i² + s_j²)), weight_floor), scaled to mean 1 over the pairs with y_i ≠ y_j;
    loss = mean of w_ij · BCE(sigmoid(sigma (μ_i − μ_j)), y_i > y_j). (i, j) and (j, i) carry the same loss, so each
    pair is used once. A batch without such a pair gives 0, with a gradient of 0.
    """
    i, j = upper_pairs(len(mean), mean.device)
    difference = activity[i] - activity[j]
    counts = (difference != 0).to(mean.dtype)
    variance = aleatoric_std.square()
    weight = torch.sigmoid(-k * (variance[i] + variance[j])).clamp(min=weight_floor) * counts
    # BCE-with-logits of the true order: softplus(-logit) where y_i > y_j, softplus(logit) where y_i < y_j.
    loss = softplus(-sigma * difference.sign() * (mean[i] - mean[j]))
    # Dividing by the weights' sum is the mean over pairs of weights scaled to mean 1. The tiny lower bound acts
    # only where there is no pair: the weights are at least weight_floor elsewhere.
    return (weight * loss).sum() / weight.sum().clamp(min=torch.finfo(mean.dtype).tiny)
