"""Encoders: one file each, its name is the registered name. Each maps one-hot sequences to an embedding."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from nrtune.trainables.component import Component, Value
from nrtune.trainables.registry import ClassRegistry


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoder(Component):
    """An encoder's size and options. `presets` names its sizes for the presets; what it leaves out keeps its default."""

    kind: ClassVar[str] = "encoder"
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {}

    def module(self) -> EncoderModule:
        """Build the network, its weights drawn from torch's current generator."""
        raise NotImplementedError


ENCODERS: ClassRegistry[Encoder] = ClassRegistry("nrtune.trainables.encoders", "encoder", Encoder)
