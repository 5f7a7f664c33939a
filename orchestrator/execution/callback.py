"""What Ray Tune says of trials, handed to their state machine."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback

from nrtune.analysis.store.records import Proposal
from nrtune.orchestrator.execution.failures import classify
from nrtune.orchestrator.execution.overdue import Overdue
from nrtune.orchestrator.execution.worker_errors import WorkerErrors
from nrtune.orchestrator.lifecycle.circuit_breaker import EnvironmentBreaker
from nrtune.orchestrator.lifecycle.faults import CRASHED, Failure
from nrtune.orchestrator.lifecycle.interrupts import SignalGuard
from nrtune.orchestrator.lifecycle.live_trials import LiveTrials
from nrtune.orchestrator.lifecycle.messages import MESSAGE


class TuneCallback(Callback):
    """Ray Tune's callback: its trials are attempts here.

    errors: what ended their workers. limit: seconds that an attempt may take, or None.
    """

    def __init__(
        self,
        live: LiveTrials,
        guard: SignalGuard,
        environment: EnvironmentBreaker,
        errors: WorkerErrors,
        limit: float | None,
    ) -> None:
        self._live, self._guard, self._environment, self._errors = live, guard, environment, errors
        self._overdue = Overdue(limit)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles its parts for a restore of its own, which a restart over the records does without."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Leave here if it was asked for, or must be: nothing is being written now."""
        self._guard.leave_if_asked()
        self._environment.leave_if_broken()
        self._overdue.end_workers()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An attempt begins."""
        self._overdue.begin(trial)
        config = trial.config
        proposal = Proposal.from_json(config["proposal"])
        self._live.start(trial.trial_id, proposal, config["resources"], shares=config["shares"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A worker has told something."""
        self._live.hear(trial.trial_id, result.pop(MESSAGE))  # Ray Tune would keep it

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An attempt ran to its end, was stopped early, failed in Python, or was cut off."""
        self._overdue.over(trial)
        self._live.finish(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An attempt's worker has died."""
        error = self._errors.get(trial.trial_id)
        failure = self._overdue.over(trial)
        if failure is None:
            failure = Failure(CRASHED, "the worker died", restartable=True) if error is None else classify(error)
        self._live.lose(trial.trial_id, Proposal.from_json(trial.config["proposal"]), failure, str(error or ""))
