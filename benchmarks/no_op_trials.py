"""Trials without a training, in a module of their own, which is sent to the workers."""

from __future__ import annotations

import os
from typing import Any

from ray import tune

from nrtune.orchestrator.execution.trainable import TrialTrainable
from nrtune.orchestrator.lifecycle.messages import EpochEnded

METRICS = 12


class NoOpTrial(TrialTrainable):
    """nrtune's trainable without a training."""

    def _step(self) -> EpochEnded:
        epoch = self.epoch + 1
        entry = {"epoch": float(epoch), "val/spearman": 0.1, "train/loss": 1.0, "seconds": 0.0}
        entry |= {f"val/metric_{number}": float(number) for number in range(METRICS - len(entry) + 1)}
        last = epoch == self.proposal["config"]["epochs"]
        metrics = {"cagi5/release/spearman/all/mean": 0.1, "test/spearman": 0.1} if last else None
        return EpochEnded(curve=(0.1,) * epoch, history=(entry,), metrics=metrics, final=last, pid=os.getpid())


class BareTrial(tune.Trainable):
    """The least that Ray Tune runs."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take how many reports there are."""
        self.reports = config["reports"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial."""
        self.reports = new_config["reports"]
        return True

    def step(self) -> dict[str, Any]:
        """Report."""
        metrics = {f"metric_{number}": float(number) for number in range(METRICS)}
        return {**metrics, "done": self.iteration + 1 == self.reports}
