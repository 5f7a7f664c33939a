"""What a network says of sequences, and what losses see of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Prediction(NamedTuple):
    """What a model says of n sequences.

    mean (n,), on the scale that the loss gives it; log_variance (n,), None for a point head; embedding (n, D); auxiliary
    losses of the encoder by name. A loss sees mean and log_variance in the units of its target.
    """

    mean: Float[Tensor, " n"]
    log_variance: Float[Tensor, " n"] | None
    embedding: Float[Tensor, "n d"]
    auxiliary: Mapping[str, Float[Tensor, ""]]

    @property
    def predicted_log_variance(self) -> Float[Tensor, " n"]:
        """The log-variance. Raises ValueError for a point head."""
        if self.log_variance is None:
            raise ValueError("this loss needs a log-variance, which a point head does not give")
        return self.log_variance
