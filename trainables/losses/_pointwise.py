"""Terms of each row on its own: of the mean μ and, where a head predicts it, of the log-variance ℓ."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

LOG_VARIANCE_BOUND = 10.0
"""The likelihood losses cut |ℓ| here: exp(±10) spans every variance of an MPRA and cannot overflow."""


def squared_error_term(mean: Float[Tensor, " n"], activity: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """mean (μ − y)²."""
    return (mean - activity).square().mean()


def bounded(log_variance: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Clamp ℓ to [−10, 10]."""
    return log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)


def gaussian_nll_term(
    mean: Float[Tensor, " n"], log_variance: Float[Tensor, " n"], activity: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """mean ½[ℓ + (y − μ)²/exp ℓ]: the Gaussian negative log-likelihood less ½ log 2π."""
    return 0.5 * (log_variance + (activity - mean).square() * (-log_variance).exp()).mean()


def variance_term(log_variance: Float[Tensor, " n"], aleatoric_std: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """mean (exp ℓ − s²)²."""
    return (log_variance.exp() - aleatoric_std.square()).square().mean()
