"""Encoders: one file each, its name is the registered name. Each maps one-hot sequences to an embedding."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from nrtune.trainables.core.component import Component, Value
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import ClassRegistry
from nrtune.trainables.models.encoding import Encoded as Encoded
from nrtune.trainables.models.encoding import EncoderModule as EncoderModule


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoder(Component):
    """An encoder's size and options. `presets` names its sizes for the presets; what it leaves out keeps its default."""

    kind: ClassVar[str] = "encoder"
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {}

    def module(self) -> EncoderModule:
        """Build the network, its weights drawn from torch's current generator."""
        raise NotImplementedError


ENCODERS: ClassRegistry[Encoder] = ClassRegistry("nrtune.trainables.encoders", "encoder", Encoder)


def check_odd(encoder: Encoder, *names: str) -> None:
    """Refuse lengths that have no middle position. Raises UserError."""
    for name in names:
        if (value := getattr(encoder, name)) % 2 == 0:
            raise UserError(f"encoder {encoder.name()}: {name} must be odd, not {value}")


def scaled(size: int, channels: int, published: int) -> int:
    """A layer's published size in a network with so many `channels` in its first layer in place of the `published` ones."""
    return max(1, round(size * channels / published))
