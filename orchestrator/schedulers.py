"""Early stopping: ASHA on the validation metric, with rungs that survive a restart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

TIME, METRIC = "epoch", "val_spearman"


class Curve(NamedTuple):
    """An ended trial's validation metric after each epoch, which counts from 1."""

    fingerprint: str
    values: tuple[tuple[int, float], ...]


class EarlyStopping(NamedTuple):
    """Epochs that every trial gets, and by how much fewer trials go on from each rung to the next."""

    grace_epochs: int
    reduction_factor: float


class Asha(AsyncHyperBandScheduler):
    """Ray's ASHA (Li et al. 2020, arXiv:1810.05934), with three differences.

    Trials whose configuration says `protected` (the study's own values, to which all else is compared) are measured at
    each rung and never stopped. The value of an epoch that failed is in no rung. `stopped` names the trials it stopped.
    """

    def __init__(self, *, epochs: int, stopping: EarlyStopping, past: Iterable[Curve] = ()) -> None:
        super().__init__(
            time_attr=TIME,
            metric=METRIC,
            mode="max",
            max_t=epochs,
            grace_period=stopping.grace_epochs,
            reduction_factor=stopping.reduction_factor,
        )
        self.stopped: set[str] = set()
        for curve in past:
            self._replay(curve)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop a trial that falls behind at a rung, unless it is protected.

        After a restart a trial's first result carries its whole history: each epoch is shown to its own rung, as
        before the restart, and only the last decides.
        """
        for entry in result.get("history", [])[:-1]:
            super().on_trial_result(tune_controller, trial, {TIME: int(entry["epoch"]), METRIC: entry["val/spearman"]})
        decision: str = super().on_trial_result(tune_controller, trial, result)
        if decision == TrialScheduler.STOP and result[TIME] < self._max_t:
            if trial.config.get("protected"):
                return str(TrialScheduler.CONTINUE)
            self.stopped.add(trial.trial_id)
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Note a trial's last value, unless it failed."""
        if result.get("failure_class"):
            self.on_trial_error(tune_controller, trial)
        else:
            super().on_trial_complete(tune_controller, trial, result)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Forget a trial that failed: if it runs again, its next report tells of all its epochs."""
        for bracket in self._brackets:
            for _, recorded in bracket._rungs:
                recorded.pop(trial.trial_id, None)
        self.on_trial_remove(tune_controller, trial)

    def _replay(self, curve: Curve) -> None:
        """Show the rungs a trial of before the restart; what would be decided of it does not matter any more."""
        trial = SimpleNamespace(trial_id=curve.fingerprint)
        self.on_trial_add(None, trial)
        for epoch, value in curve.values:
            super().on_trial_result(None, trial, {TIME: epoch, METRIC: value})
        self.on_trial_remove(None, trial)


def rungs(epochs: int, stopping: EarlyStopping | None) -> tuple[int, ...]:
    """The epochs after which ASHA may stop a trial; none without early stopping."""
    if stopping is None:
        return ()
    found, rung = [], float(stopping.grace_epochs)
    while rung < epochs:
        found.append(math.ceil(rung - 1e-9))
        rung *= stopping.reduction_factor
    return tuple(found)


def default_grace(epochs: int) -> int:
    """A ninth of the budget, at least 2 epochs: before that a one-cycle schedule has shown little."""
    return max(2, epochs // 9)


def build_scheduler(*, epochs: int, stopping: EarlyStopping | None, past: Iterable[Curve] = ()) -> TrialScheduler:
    """ASHA, or first in, first out without early stopping and where the budget leaves no rung."""
    if stopping is None or not rungs(epochs, stopping):
        return FIFOScheduler()
    return Asha(epochs=epochs, stopping=stopping, past=past)
