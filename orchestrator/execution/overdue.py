"""Ends the workers of trials whose time is up and that do not end by themselves: stopped, deaf, or in a loop of C code."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import ray

from nrtune.orchestrator.lifecycle.faults import TIMED_OUT, Failure

GRACE_SECONDS = 20.0
"""A worker that can raises at the limit itself, and tells of it; on a busy machine that takes a while to arrive."""


class Overdue:
    """When each attempt began, and which were ended from here. limit: seconds that one may take; None for as long as it likes."""

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._running: dict[str, tuple[Any, float]] = {}
        self._ended: set[str] = set()

    def begin(self, trial: Any) -> None:
        """Ray Tune's trial has been given to a worker."""
        self._running[trial.trial_id] = trial, time.monotonic()

    def end_workers(self) -> None:
        """Kill the workers whose trials have had their time. Ray tells of each as of any worker that died."""
        if self._limit is None:
            return
        last = time.monotonic() - self._limit - GRACE_SECONDS
        for attempt, (trial, began) in [*self._running.items()]:
            if began < last and attempt not in self._ended:
                self._ended.add(attempt)
                with suppress(ValueError):  # there is no worker any more
                    ray.kill(trial.temporary_state.ray_actor)

    def over(self, trial: Any) -> Failure | None:
        """An attempt has ended; returned is why, where that was done here."""
        self._running.pop(trial.trial_id, None)
        if trial.trial_id not in self._ended:
            return None
        return Failure(TIMED_OUT, "the trial ran past its time limit, and its worker had to be killed")
