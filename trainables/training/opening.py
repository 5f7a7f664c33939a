"""A training that is begun, or gone on with."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from nrtune.trainables.core.files import LAST
from nrtune.trainables.models.kernels.proof import AUTO
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData


def open_training(
    config: TrialConfig,
    data: TrainingData,
    *,
    device: str | None = None,
    folder: Path | None = None,
    score_at: Collection[int] = (),
    micro_batches: int = 1,
    kernels: str = AUTO,
) -> Training:
    """A training that goes on from its folder where that holds a checkpoint of the same trial, else begins.

    Its options are those of `Training`. Raises UserError for data that the configuration can't use, and `checkpoint.Unreadable`,
    also for the checkpoint of another trial.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    training = Training(
        config, data, device=device, folder=folder, score_at=score_at, micro_batches=micro_batches, kernels=kernels
    )
    if folder is not None and (folder / LAST).exists():
        training.resume(folder / LAST)
    return training
