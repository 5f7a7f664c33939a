"""The network of an encoder: one-hot sequences in, an embedding out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


class Encoded(NamedTuple):
    """An encoder's output: the embedding (n, D) and its own auxiliary losses by name (each a scalar, already scaled)."""

    embedding: Float[Tensor, "n d"]
    auxiliary: Mapping[str, Float[Tensor, ""]]


class EncoderModule(nn.Module):
    """A network from one_hot (n, 4, length) to `Encoded`, whose embedding has `embedding_size` features."""

    embedding_size: int

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        """Return the embedding of every sequence."""
        raise NotImplementedError

    def first_layer(self) -> tuple[nn.Module, ...]:
        """What reads the bases, which a training may freeze: what the network calls `first`; nothing where it has none."""
        first = getattr(self, "first", None)
        return (first,) if isinstance(first, nn.Module) else ()
