"""When a training has diverged: its loss is not finite, or it tells no sequence from another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

COLLAPSED = 1e-6
"""Validation predictions that spread less than this, relative to their size, are a constant in float32."""


class Diverged(RuntimeError):
    """The loss is not finite, or every sequence is predicted alike."""


def check_loss(loss: float, epoch: int) -> None:
    """Raise Diverged for a loss that is not finite; `epoch` counts from 1."""
    if not math.isfinite(loss):
        raise Diverged(f"the training loss is {loss} in epoch {epoch}")


def check_predictions(mean: NDArray[np.floating], epoch: int) -> None:
    """Raise Diverged for validation predictions (n,) that are not finite, or all alike."""
    if not np.isfinite(mean).all():
        raise Diverged(f"validation predictions are not finite in epoch {epoch}")
    if mean.max() - mean.min() <= COLLAPSED * max(1.0, float(np.abs(mean).max())):
        raise Diverged(f"every validation sequence is predicted alike in epoch {epoch}")
