"""Early stopping on the validation metric, by one of three rules of Ray's, each of which survives a restart.

A rule learns again from the stored curves of trials that ended before a restart, so it needs no state of its own. That is
why HyperBand is the asynchronous one with several brackets: Ray's synchronous HyperBand pauses trials until all of their
bracket have come as far, and pausing takes checkpoints by Tune, which there are none of (5 of 10 trials of such a run failed);
its brackets are in memory alone, and a trial that begins at the epoch where it was interrupted has no place in one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from trainables.randomness import derive_generator

TIME, METRIC = "epoch", "val_spearman"

MIN_CURVES = 3
"""The median rule stops nobody before so many other trials have come as far."""


class Curve(NamedTuple):
    """An ended trial's validation metric after each epoch, which counts from 1."""

    fingerprint: str
    values: tuple[tuple[int, float], ...]


class EarlyStopping(NamedTuple):
    """Epochs that every trial gets; by how much fewer trials go on from each rung to the next; and the rule.

    asha: one ladder of rungs. hyperband: several, each of which begins a rung later. median: after every `grace_epochs`
    epochs a trial is stopped whose best value so far is below the median of the others' running means; reduction_factor
    does not matter.
    """

    grace_epochs: int
    reduction_factor: float
    rule: Literal["asha", "hyperband", "median"] = "asha"


@dataclasses.dataclass(eq=False)
class _Past:
    """A trial of before a restart, as far as a scheduler asks for it."""

    trial_id: str
    config: dict[str, Any]


class EarlyStopper(TrialScheduler):
    """What the rules have in common, mixed into a scheduler of Ray's. `stopped` names the trials that it stopped.

    Trials whose configuration says `protected` (the study's own values, to which all else is compared) are measured and
    never stopped. What a failed trial reported counts nowhere.
    """

    epochs: int

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stopped: set[str] = set()
        self._measured: dict[str, int] = {}  # the last epoch of each running trial that counted

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop a trial that falls behind, unless it is protected.

        After a restart a trial's first result carries its whole history: each epoch counts as it did before the restart,
        and only the last decides.
        """
        last = self._catch_up(trial, result)
        if last[TIME] >= self.epochs:
            self._once(trial, last, judge=False)
            return str(TrialScheduler.STOP)
        spared = bool(trial.config.get("protected"))
        if not self._once(trial, last, judge=not spared) or spared:
            return str(TrialScheduler.CONTINUE)
        self.stopped.add(trial.trial_id)
        return str(TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Note a trial's last value, unless it failed."""
        if result.get("failure_class"):
            self.on_trial_error(tune_controller, trial)
            return
        self._once(trial, self._catch_up(trial, result), judge=False)
        self.on_trial_remove(tune_controller, trial)
        self._measured.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Forget a trial that failed: no restart would know of it, and if it runs again, it tells of all its epochs."""
        self._forget(trial)
        self.on_trial_remove(tune_controller, trial)
        self._measured.pop(trial.trial_id, None)

    def replay(self, past: Iterable[Curve]) -> None:
        """Show the curves of trials that ended before a restart; what would be decided of them does not matter any more."""
        for curve in past:
            trial = _Past(curve.fingerprint, {"fingerprint": curve.fingerprint})
            self.on_trial_add(None, trial)
            for epoch, value in curve.values:
                self._measure(trial, {TIME: epoch, METRIC: value}, judge=False)
            self.on_trial_remove(None, trial)

    def _catch_up(self, trial: Any, result: dict[str, Any]) -> dict[str, Any]:
        """Measure the epochs before a result's last, which is returned."""
        for entry in result.get("history", [])[:-1]:
            self._once(trial, {TIME: int(entry["epoch"]), METRIC: entry["val/spearman"]}, judge=False)
        return {TIME: result[TIME], METRIC: result[METRIC]}

    def _once(self, trial: Any, point: dict[str, Any], *, judge: bool) -> bool:
        """Measure an epoch that was not: Tune shows the last result of a trial again when it ends."""
        if point[TIME] <= self._measured.get(trial.trial_id, 0):
            return False
        self._measured[trial.trial_id] = point[TIME]
        return self._measure(trial, point, judge=judge)

    def _measure(self, trial: Any, point: dict[str, Any], *, judge: bool) -> bool:
        """Note a value; whether the trial falls behind, which without `judge` need not be told."""
        raise NotImplementedError

    def _forget(self, trial: Any) -> None:
        """Drop what was noted of a trial."""
        raise NotImplementedError


class Asha(EarlyStopper, AsyncHyperBandScheduler):
    """Ray's ASHA (Li et al. 2020, arXiv:1810.05934)."""

    def __init__(self, *, epochs: int, stopping: EarlyStopping, past: Iterable[Curve] = (), brackets: int = 1) -> None:
        super().__init__(
            time_attr=TIME,
            metric=METRIC,
            mode="max",
            max_t=epochs,
            grace_period=stopping.grace_epochs,
            reduction_factor=stopping.reduction_factor,
            brackets=brackets,
        )
        self.epochs = epochs
        self.replay(past)

    def _measure(self, trial: Any, point: dict[str, Any], *, judge: bool) -> bool:
        return bool(AsyncHyperBandScheduler.on_trial_result(self, None, trial, point) == TrialScheduler.STOP)

    def _forget(self, trial: Any) -> None:
        for bracket in self._brackets:
            for _, recorded in bracket._rungs:
                recorded.pop(trial.trial_id, None)


class Hyperband(Asha):
    """Ray's ASHA with several brackets, the asynchronous HyperBand of the same paper.

    The first bracket has all rungs, each other one fewer at the beginning, and the last has none: a method that learns
    slowly is not always judged by its first epochs. Brackets have Ray's shares, e times fewer trials for each rung less.
    A trial's bracket follows from its fingerprint, so that it is the same after a restart.
    """

    def __init__(self, *, epochs: int, stopping: EarlyStopping, past: Iterable[Curve] = ()) -> None:
        super().__init__(epochs=epochs, stopping=stopping, past=past, brackets=len(rungs(epochs, stopping)) + 1)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Choose the trial's bracket."""
        self._trial_info[trial.trial_id] = self._brackets[self._bracket_of(trial.config["fingerprint"])]

    def _bracket_of(self, fingerprint: str) -> int:
        shares = np.exp(-np.arange(len(self._brackets), dtype=float))
        return int(derive_generator("bracket", fingerprint).choice(len(shares), p=shares / shares.sum()))


class Median(EarlyStopper, MedianStoppingRule):
    """Ray's median stopping rule (Golovin et al. 2017, doi:10.1145/3097983.3098043).

    It judges after the epochs of `rungs` alone, where trials are scored, so that a stopped trial's metrics are those of
    all that it trained. Means are over epochs from the grace period on.
    """

    def __init__(self, *, epochs: int, stopping: EarlyStopping, past: Iterable[Curve] = ()) -> None:
        super().__init__(
            time_attr=TIME,
            metric=METRIC,
            mode="max",
            grace_period=stopping.grace_epochs,
            min_samples_required=MIN_CURVES,
            min_time_slice=math.inf,  # else trials are paused for others while there are few curves
        )
        self.epochs = epochs
        self.judged = frozenset(rungs(epochs, stopping))
        self.replay(past)

    def _measure(self, trial: Any, point: dict[str, Any], *, judge: bool) -> bool:
        if judge and point[TIME] in self.judged:
            return bool(MedianStoppingRule.on_trial_result(self, None, trial, point) == TrialScheduler.STOP)
        MedianStoppingRule.on_trial_complete(self, None, trial, point)  # notes it
        return False

    def _forget(self, trial: Any) -> None:
        self._results.pop(trial, None)


RULES: dict[str, Any] = {"asha": Asha, "hyperband": Hyperband, "median": Median}


def rungs(epochs: int, stopping: EarlyStopping | None) -> tuple[int, ...]:
    """The epochs after which a trial may be stopped, and is scored; none without early stopping."""
    if stopping is None:
        return ()
    if stopping.rule == "median":
        return tuple(range(stopping.grace_epochs, epochs, stopping.grace_epochs))
    found, rung = [], float(stopping.grace_epochs)
    while rung < epochs:
        found.append(math.ceil(rung - 1e-9))
        rung *= stopping.reduction_factor
    return tuple(found)


def default_grace(epochs: int) -> int:
    """A ninth of the budget, at least 2 epochs: before that a one-cycle schedule has shown little."""
    return max(2, epochs // 9)


def build_scheduler(*, epochs: int, stopping: EarlyStopping | None, past: Iterable[Curve] = ()) -> TrialScheduler:
    """The rule's scheduler, or first in, first out without early stopping and where the budget leaves no rung."""
    if stopping is None or not rungs(epochs, stopping):
        return FIFOScheduler()
    return RULES[stopping.rule](epochs=epochs, stopping=stopping, past=past)
