"""Heads: from an embedding z (n, D) to the mean μ (n,) and, for two of the three, the log-variance ℓ (n,)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

HIDDEN = 64
"""Hidden units of a head's MLP (the study's)."""


def _linear(inputs: int) -> nn.Module:
    return nn.Linear(inputs, 1)


def _mlp(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))


class Head(nn.Module):
    """A mean and, where the head has one, a log-variance."""

    def __init__(self, mean: nn.Module, log_variance: nn.Module | None) -> None:
        super().__init__()
        self.mean = mean
        self.log_variance = log_variance

    def forward(self, embedding: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"] | None]:
        """Return (μ, ℓ); ℓ is None for a point head."""
        mean = self.mean(embedding).squeeze(-1)
        if self.log_variance is None:
            return mean, None
        return mean, self.log_variance(embedding).squeeze(-1)


HEADS = {
    "point": lambda inputs: Head(_linear(inputs), None),
    "distributional": lambda inputs: Head(_mlp(inputs), _mlp(inputs)),
    "dual": lambda inputs: Head(_linear(inputs), _mlp(inputs)),
}
"""point: linear → μ; distributional: an MLP each → μ, ℓ; dual: linear → μ, MLP → ℓ (the study's DH7)."""

HEADS_WITH_LOG_VARIANCE = frozenset({"distributional", "dual"})
