"""Workers that stand still are ended, those that run are not: with real processes below one that stands for Ray's raylet."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from command_line import wait_until

from nrtune.orchestrator.execution import overdue
from nrtune.orchestrator.lifecycle.faults import CRASHED


def test_a_worker_that_stands_still_is_killed_and_its_trial_told_of(monkeypatch: pytest.MonkeyPatch):
    for name in ("STOPPED_SECONDS", "LOOK_SECONDS"):
        monkeypatch.setattr(overdue, name, 0.0)
    raylet = subprocess.Popen(
        ["sh", "-c", "sleep 600 & echo $!; sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True
    )
    node = SimpleNamespace(all_processes={"raylet": [SimpleNamespace(process=raylet)]})
    monkeypatch.setattr(ray._private.worker, "_global_node", node)
    still, runs = (int(raylet.stdout.readline()) for _ in range(2))
    try:
        watched = overdue.Overdue(None)
        trials = {pid: SimpleNamespace(trial_id=str(pid), last_result={"pid": pid}) for pid in (still, runs)}
        for trial in trials.values():
            watched.begin(trial)
        watched.end_workers()
        os.kill(still, signal.SIGSTOP)
        wait_until(lambda: overdue._stopped_workers() == [still], "the worker stands still")
        watched.end_workers()  # sees it for the first time
        watched.end_workers()
        wait_until(lambda: not Path(f"/proc/{still}/status").exists() or "(zombie)" in Path(f"/proc/{still}/status").read_text(),
                   "the worker is gone")  # fmt: skip
        failure = watched.over(trials[still])
        assert failure is not None
        assert (failure.failure_class, failure.restartable) == (CRASHED, False)
        assert "was stopped (SIGSTOP)" in failure.message
        assert watched.over(trials[runs]) is None
        os.kill(runs, 0)
    finally:
        for pid in (still, runs):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        raylet.communicate()
