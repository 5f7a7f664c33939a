"""Encoders: one file each, its name is the registered name. Each maps one-hot sequences to an embedding."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from nrtune.trainables.core.component import Component, Value
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
