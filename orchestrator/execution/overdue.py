"""Ends the workers of trials whose time is up and that do not end by themselves: stopped, deaf, or in a loop of C code."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray

from nrtune.orchestrator.lifecycle.faults import CRASHED, TIMED_OUT, Failure

GRACE_SECONDS = 20.0
"""A worker that can raises at the limit itself, and tells of it; on a busy machine that takes a while to arrive."""
STOPPED_SECONDS = 60.0
"""So long a worker of a Ray on this machine may be stopped (SIGSTOP), be there a limit or not."""
LOOK_SECONDS = 5.0

_OVERDUE = Failure(TIMED_OUT, "the trial ran past its time limit, and its worker had to be killed")
_STOPPED = Failure(CRASHED, "the trial's worker was stopped (SIGSTOP), and had to be killed")


class Overdue:
    """When each attempt began, and which were ended from here. limit: seconds that one may take; None for as long as it likes."""

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._running: dict[str, tuple[Any, float]] = {}
        self._ended: dict[str, Failure] = {}
        self._stopped: dict[int, float] = {}  # workers by number, and when they were first seen so
        self._looked = 0.0

    def begin(self, trial: Any) -> None:
        """Ray Tune's trial has been given to a worker."""
        self._running[trial.trial_id] = trial, time.monotonic()

    def end_workers(self) -> None:
        """Kill the workers whose trials have had their time. Ray tells of each as of any worker that died."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._end_stopped(now)
        if self._limit is None:
            return
        for attempt, (trial, began) in [*self._running.items()]:
            if began < now - self._limit - GRACE_SECONDS and attempt not in self._ended:
                self._ended[attempt] = _OVERDUE
                with suppress(ValueError):  # there is no worker any more
                    ray.kill(trial.temporary_state.ray_actor)

    def over(self, trial: Any) -> Failure | None:
        """An attempt has ended; returned is why, where that was done here."""
        self._running.pop(trial.trial_id, None)
        return self._ended.get(trial.trial_id)

    def _end_stopped(self, now: float) -> None:
        """Kill the workers of this machine's own Ray that have stood still for long."""
        self._stopped = {worker: self._stopped.get(worker, now) for worker in _stopped_workers()}
        for worker, since in self._stopped.items():
            if now - since > STOPPED_SECONDS:
                for attempt, (trial, _) in self._running.items():
                    if (trial.last_result or {}).get("pid") == worker:
                        self._ended.setdefault(attempt, _STOPPED)
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)


def _stopped_workers() -> list[int]:
    """The workers that are stopped, of a Ray that this process has started; none of one that was joined."""
    started = ray._private.worker._global_node.all_processes.get("raylet", ())
    found = []
    for children in (path for one in started for path in Path(f"/proc/{one.process.pid}/task").glob("*/children")):
        with suppress(OSError):  # it has just ended
            for worker in children.read_text().split():
                with suppress(OSError):
                    if Path("/proc", worker, "stat").read_text().rpartition(")")[2].split()[0] == "T":
                        found.append(int(worker))
    return found
