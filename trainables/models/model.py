"""A model is encoder × head: tokens in, a prediction out; and the other strand of tokens."""

from __future__ import annotations

from typing import Self

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from nrtune.trainables.models.encoding import EncoderModule
from nrtune.trainables.models.heads import HEADS
from nrtune.trainables.models.prediction import Prediction

ONE_HOT_OF_TOKEN = ((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0), (0.25, 0.25, 0.25, 0.25))
"""A C G T as 0 to 3, N as 4: a quarter of each."""


def other_strand(tokens: UInt8[Tensor, "n length"]) -> UInt8[Tensor, "n length"]:
    """The reverse complement of tokens, on their device; N stays N."""
    reverse = tokens.flip(1)
    return torch.where(reverse < 4, 3 - reverse, reverse)


class Model(nn.Module):
    """An encoder and the head of a name, over sequences stored one byte a base.

    standardised: it learns labels with a mean of 0 and a standard deviation of 1; `activity_scale` (2,) holds the mean and
    the standard deviation that they had, log2(RNA/DNA).
    """

    one_hot_of_token: Tensor
    activity_scale: Tensor | None

    def __init__(self, encoder: EncoderModule, head: str, *, standardised: bool = False) -> None:
        super().__init__()
        self._frozen: tuple[nn.Module, ...] = ()
        self.encoder = encoder
        self.head = HEADS[head](encoder.embedding_size)
        self.register_buffer("one_hot_of_token", torch.tensor(ONE_HOT_OF_TOKEN), persistent=False)
        self.register_buffer("activity_scale", torch.tensor([0.0, 1.0]) if standardised else None)

    def freeze_first(self) -> None:
        """Keep the encoder's first layer as it is: no weight of it is trained, and its norms keep their statistics."""
        self._frozen = self.encoder.first_layer()
        for layer in self._frozen:
            layer.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Turn to training, or to evaluation, in which frozen layers stay."""
        super().train(mode)
        for layer in self._frozen:
            layer.eval()
        return self

    def forward(self, tokens: UInt8[Tensor, "n length"], *, as_learned: bool = False) -> Prediction:
        """Return the prediction of every sequence; as_learned: on the scale of the labels, which may be standardised."""
        one_hot = self.one_hot_of_token[tokens.int()].transpose(1, 2)
        encoded = self.encoder(one_hot)
        with torch.autocast(tokens.device.type, enabled=False):  # the encoder may run in bf16, what it is judged by not
            embedding = encoded.embedding.float()
            mean, log_variance = self.head(embedding)
            if self.activity_scale is not None and not as_learned:
                centre, spread = self.activity_scale
                mean = centre + spread * mean
                log_variance = None if log_variance is None else log_variance + 2 * spread.log()
        return Prediction(mean, log_variance, embedding, encoded.auxiliary)
