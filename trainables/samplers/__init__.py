"""Samplers: which training rows make an epoch, in which order. One file each."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.component import Component
from nrtune.trainables.core.registry import ClassRegistry


class TrainRows(NamedTuple):
    """What a sampler may look at: the training rows' activity (N,) and, where measured, aleatoric_std (N,)."""

    activity: NDArray[np.float32]
    aleatoric_std: NDArray[np.float32] | None

    @property
    def measured_std(self) -> NDArray[np.float64]:
        """The replicate standard deviation. Raises ValueError where none was measured."""
        if self.aleatoric_std is None:
            raise ValueError("this sampler needs aleatoric_std, which the data set does not have")
        return self.aleatoric_std.astype(np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampler(Component):
    """A rule that draws the rows of an epoch. The same generator state gives the same rows, so a resume repeats none."""

    kind: ClassVar[str] = "sampler"

    @property
    def needs_noise(self) -> bool:
        """Whether the rows must have an aleatoric_std."""
        return False

    def epoch_rows(self, rows: TrainRows, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return indices into the training rows, as many as there are rows; `epoch` counts from 0."""
        raise NotImplementedError


SAMPLERS: ClassRegistry[Sampler] = ClassRegistry("nrtune.trainables.samplers", "sampler", Sampler)
