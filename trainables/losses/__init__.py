"""Losses: one file each, its name is the registered name. All are means over a batch of n rows."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor

from nrtune.trainables.core.component import Component
from nrtune.trainables.core.registry import ClassRegistry
from nrtune.trainables.models.prediction import Prediction


class Target(NamedTuple):
    """What was measured for a batch of n rows: log2(RNA/DNA) and, where it was measured, its standard deviation.

    Of a trial that standardises labels both are in units of the training labels' standard deviation.
    """

    activity: Float[Tensor, " n"]
    aleatoric_std: Float[Tensor, " n"] | None

    @property
    def measured_std(self) -> Float[Tensor, " n"]:
        """The replicate standard deviation. Raises ValueError where none was measured."""
        if self.aleatoric_std is None:
            raise ValueError("this loss needs aleatoric_std, which the data set does not have")
        return self.aleatoric_std


class Progress(NamedTuple):
    """Where a training stands: `epoch` counts from 0 to `epochs` - 1."""

    epoch: int
    epochs: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss(Component):
    """A scalar loss of a batch. It states what it needs, so that a combination that can't work is refused early."""

    kind: ClassVar[str] = "loss"
    needs_log_variance: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False

    def __call__(self, prediction: Prediction, target: Target, progress: Progress) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        raise NotImplementedError


LOSSES: ClassRegistry[Loss] = ClassRegistry("nrtune.trainables.losses", "loss", Loss)
