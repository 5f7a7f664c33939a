"""Encoders: one file each, its name is the registered name. Each maps one-hot sequences to an embedding."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from nrtune.trainables.core.component import Component, Range, Value
from nrtune.trainables.core.registry import ClassRegistry
from nrtune.trainables.models.encoding import Encoded as Encoded
from nrtune.trainables.models.encoding import EncoderModule as EncoderModule


class LearningRate(NamedTuple):
    """The highest learning rate of the one-cycle schedule: the default of a search, and where it looks for others."""

    default: float
    searched: Range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoder(Component):
    """An encoder's size and options. `presets` names its sizes for the presets; what it leaves out keeps its default.

    `lr`: at which learning rates it trains; None: at those of the study, as method families have them.
    """

    kind: ClassVar[str] = "encoder"
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {}
    lr: ClassVar[LearningRate | None] = LearningRate(0.01, Range(3e-3, 2e-2, log=True))

    def module(self) -> EncoderModule:
        """Build the network, its weights drawn from torch's current generator."""
        raise NotImplementedError


ENCODERS: ClassRegistry[Encoder] = ClassRegistry("nrtune.trainables.encoders", "encoder", Encoder)
