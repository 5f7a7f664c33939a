"""A data set's arrays on the device that trains on them; batches are gathered there."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.losses import Target
from nrtune.trainables.models.model import other_strand
from nrtune.trainables.training.training_data import ActivityScale


class ResidentData:
    """tokens (N, length), activity (N,) and, where measured, aleatoric_std (N,) on a device.

    With a `scale` activity and aleatoric_std are standardised by it. On a CPU the others share the memory of the data
    set's arrays, so nothing may write to them.
    """

    def __init__(self, dataset: Dataset, device: torch.device, scale: ActivityScale | None = None) -> None:
        self.tokens = _resident(dataset.tokens, device)
        self.activity = _resident(dataset.activity, device)
        self.std = None if dataset.aleatoric_std is None else _resident(dataset.aleatoric_std, device)
        if scale is not None:
            self.activity = (self.activity - scale.mean) / scale.std
            self.std = None if self.std is None else self.std / scale.std

    def batch(self, rows: Int64[Tensor, " n"]) -> tuple[UInt8[Tensor, "n length"], Target]:
        """Return the tokens of n rows, and what was measured."""
        return self.tokens[rows], Target(self.activity[rows], None if self.std is None else self.std[rows])

    def batch_of_strands(self, rows: Int64[Tensor, " n"]) -> tuple[UInt8[Tensor, "n length"], Target]:
        """Return the same, where ~row stands for the other strand of a row's sequence."""
        is_other = rows < 0
        tokens, target = self.batch(torch.where(is_other, ~rows, rows))
        return torch.where(is_other[:, None], other_strand(tokens), tokens), target


def _resident(array: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # Arrays from Ray's object store are read-only; torch warns that writing would be undefined. Nothing writes:
        # the tensors are only indexed.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)
