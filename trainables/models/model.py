"""A model is encoder × head: tokens in, a prediction out."""

from __future__ import annotations

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from nrtune.trainables.models.encoding import EncoderModule
from nrtune.trainables.models.heads import HEADS
from nrtune.trainables.models.prediction import Prediction

ONE_HOT_OF_TOKEN = ((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0), (0.25, 0.25, 0.25, 0.25))
"""A C G T as 0 to 3, N as 4: a quarter of each."""


class Model(nn.Module):
    """An encoder and the head of a name, over sequences stored one byte a base."""

    one_hot_of_token: Tensor

    def __init__(self, encoder: EncoderModule, head: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = HEADS[head](encoder.embedding_size)
        self.register_buffer("one_hot_of_token", torch.tensor(ONE_HOT_OF_TOKEN), persistent=False)

    def forward(self, tokens: UInt8[Tensor, "n length"]) -> Prediction:
        """Return the prediction of every sequence."""
        one_hot = self.one_hot_of_token[tokens.int()].transpose(1, 2)
        encoded = self.encoder(one_hot)
        with torch.autocast(tokens.device.type, enabled=False):  # the encoder may run in bf16, what it is judged by not
            embedding = encoded.embedding.float()
            mean, log_variance = self.head(embedding)
        return Prediction(mean, log_variance, embedding, encoded.auxiliary)
