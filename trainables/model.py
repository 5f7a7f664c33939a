"""A model is encoder × head: tokens in, a prediction out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from nrtune.trainables.heads import HEADS

if TYPE_CHECKING:
    from nrtune.trainables.config import TrialConfig

ONE_HOT_OF_TOKEN = ((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0), (0.25, 0.25, 0.25, 0.25))
"""A C G T as 0 to 3, N as 4: a quarter of each."""


class Prediction(NamedTuple):
    """What a model says of n sequences.

    mean (n,) in log2(RNA/DNA); log_variance (n,), None for a point head; embedding (n, D); auxiliary losses of the
    encoder by name.
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


class Model(nn.Module):
    """Encoder × head over sequences stored one byte a base."""

    one_hot_of_token: Tensor

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.encoder = config.encoder.module()
        self.head = HEADS[config.head](self.encoder.embedding_size)
        self.register_buffer("one_hot_of_token", torch.tensor(ONE_HOT_OF_TOKEN), persistent=False)

    def forward(self, tokens: UInt8[Tensor, "n length"]) -> Prediction:
        """Return the prediction of every sequence."""
        one_hot = self.one_hot_of_token[tokens.int()].transpose(1, 2)
        encoded = self.encoder(one_hot)
        with torch.autocast(tokens.device.type, enabled=False):  # the encoder may run in bf16, what it is judged by not
            embedding = encoded.embedding.float()
            mean, log_variance = self.head(embedding)
        return Prediction(mean, log_variance, embedding, encoded.auxiliary)
