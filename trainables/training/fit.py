"""One trial, from a configuration to a scored model: in a notebook or a script, without a cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nrtune.trainables.evaluation.calibration import Calibration
from nrtune.trainables.evaluation.predictions import Score
from nrtune.trainables.models.model import Model
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.loop import EpochReport
from nrtune.trainables.training.opening import open_training
from nrtune.trainables.training.training_data import TrainingData


class FitResult(NamedTuple):
    """A trained trial. The model holds the weights of the best validation epoch, which the score is of.

    calibration: from the model's output to log2(RNA/DNA). metrics: by name, such as test/spearman; NaN where undefined.
    history: of each epoch, by name. test: a row a test sequence. effects: by benchmark, a row a variant.
    """

    config: TrialConfig
    fingerprint: str
    model: Model
    calibration: Calibration
    metrics: dict[str, float]
    history: list[dict[str, float]]
    test: pd.DataFrame
    effects: Mapping[str, pd.DataFrame]

    def __repr__(self) -> str:
        value = self.metrics.get("test/spearman", math.nan)
        return f"FitResult({self.fingerprint}: {len(self.history)} epochs, test Spearman {value:.3f})"


def fit(
    config: TrialConfig,
    data: TrainingData,
    report: Callable[[EpochReport], object] = lambda epoch: None,
    *,
    device: str | None = None,
    folder: Path | None = None,
) -> FitResult:
    """Train a trial and score its best validation epoch.

    `report` gets every epoch; where it returns True the training stops there and is scored. With a `folder`,
    checkpoints, history and predictions are kept in it, and a training that was interrupted there goes on.

    Raises UserError for data that the configuration can't use and Diverged for a training that collapsed.
    """
    training = open_training(config, data, device=device, folder=folder)
    final: Score | None = None
    while final is None:
        epoch = training.run_epoch()
        stop = report(epoch) is True
        final = epoch.score or (training.score() if stop else None)
    training.model.load_state_dict(training.best)
    return FitResult(
        config,
        training.fingerprint,
        training.model,
        final.calibration,
        final.metrics,
        training.history,
        final.test,
        final.effects,
    )
