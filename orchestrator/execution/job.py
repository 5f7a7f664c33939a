"""What Ray has to know of a campaign."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from nrtune.orchestrator.lifecycle.rules import EarlyStopping
from nrtune.orchestrator.state.settings import RunSettings
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.training_data import TrainingData


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """Trials to run, as far as it does not matter which.

    settings: how to run them. folder: the campaign's. data: what they are trained and scored on. epochs: of each. typical:
    one of them, for a measurement of how many to run at once. early_stopping: None where each is trained to its end.
    """

    settings: RunSettings
    folder: Path
    data: TrainingData
    epochs: int
    typical: TrialConfig
    early_stopping: EarlyStopping | None = None
