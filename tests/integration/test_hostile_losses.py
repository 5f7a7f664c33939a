"""Losses that stop, fork, leak, print or never come back: each ends with its class, and the search goes on to its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from command_line import CommandLine

from nrtune.analysis.store.records import TrialRecord, read_records
from nrtune.orchestrator.execution.failures import TRACEBACK_LENGTH
from nrtune.orchestrator.execution.guardian import MARK
from nrtune.orchestrator.state.settings import Settings

NEVER_BACK = {
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "in_c": """import itertools
        sum(itertools.repeat(0))  # the interpreter looks at no signal, and no other thread runs""",
    "deaf": """while True:
            try:
                time.sleep(600)
            except Exception:
                pass""",
    "talkative": """while True:
            os.write(1, b"x" * 100_000)""",
}
"""From the second epoch on."""

STRANGE = {
    "unpicklable": """class Unpicklable(RuntimeError):
            def __init__(self):
                super().__init__("on purpose")
                self.held = open("/dev/null")
            def __reduce__(self):
                raise TypeError("not this one")
        raise Unpicklable()""",
    "unprintable": """class Unprintable(RuntimeError):
            def __str__(self):
                raise ValueError("on purpose")
        raise Unprintable()""",
    "long_winded": """raise RuntimeError("on purpose" * 10_000_000)""",
    "leaving": "raise SystemExit(3)",
    "forking": """import subprocess, sys
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        if os.fork() == 0:
            time.sleep(600)
        return error""",
}

LEAK = """global kept
        kept = []
        for _ in range(200):
            kept.append(os.urandom(1 << 20) * 20)
            time.sleep(0.01)
        raise RuntimeError("it was never stopped")"""


def searched(settings: Settings, folder: Path, **environment: str) -> tuple[dict[str, TrialRecord], str]:
    """Search with a Ray of its own; the records by loss, and what was said. Nothing that was started is left."""
    place = Path("/tmp") / f"nrt{os.getpid()}"
    place.mkdir(mode=0o700)
    try:
        err = CommandLine(settings, folder, TMPDIR=str(place), **environment).finish()
        assert [*place.iterdir()] == []
        left = [process for process in psutil.process_iter() if _mark(process).startswith(str(place))]
        assert left == []
    finally:
        place.rmdir()
    return {record.config["loss"]: record for record in read_records(Path(str(settings.out)))}, err


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get(MARK, "")
    except psutil.Error:
        return ""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_loss_that_never_comes_back_is_ended_at_the_time_limit(
    faulty: Callable[..., None], settings: Settings, tmp_path
):
    faulty("mse", **NEVER_BACK)
    update = {"families": ("faulty",), "trials": 5, "max_concurrent": 2, "trial_time_limit": 0.5}
    of_loss, err = searched(settings.model_copy(update=update), tmp_path)
    assert of_loss.pop("mse").status == "finished"
    assert of_loss.keys() == NEVER_BACK.keys()
    for loss, record in of_loss.items():
        assert (record.status, record.failure_class, record.attempts) == ("failed", "timed_out", 1), loss
        assert record.epochs_trained == 1, loss
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_loss_that_stops_itself_is_ended_without_a_time_limit(
    faulty: Callable[..., None], settings: Settings, tmp_path
):
    faulty("mse", stopped=NEVER_BACK["stopped"])
    of_loss, err = searched(settings.model_copy(update={"families": ("faulty",), "trials": 2}), tmp_path)
    assert of_loss["mse"].status == "finished"
    assert (of_loss["stopped"].status, of_loss["stopped"].failure_class) == ("failed", "crashed")
    assert "was stopped (SIGSTOP), and had to be killed" in of_loss["stopped"].failure
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_loss_that_fails_strangely_has_a_class_and_leaves_nothing(
    faulty: Callable[..., None], settings: Settings, tmp_path
):
    faulty("mse", **STRANGE)
    update = {"families": ("faulty", "baseline"), "trials": 6, "max_concurrent": 2}
    of_loss, err = searched(settings.model_copy(update=update), tmp_path)
    assert of_loss["mse"].status == of_loss["forking"].status == "finished"
    for loss in ("unpicklable", "unprintable", "long_winded", "leaving"):
        assert (of_loss[loss].status, of_loss[loss].failure_class) == ("failed", "crashed"), loss
    assert "on purpose" in of_loss["unpicklable"].failure
    told = Path(str(settings.out)) / "trials" / of_loss["long_winded"].fingerprint / "error.txt"
    assert 0 < told.stat().st_size <= TRACEBACK_LENGTH + 1000
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_loss_that_leaks_is_ended_at_the_nodes_memory_limit(
    faulty: Callable[..., None], settings: Settings, tmp_path
):
    """The limit is set a little above what the machine uses now; without one, the loss stops at 4 GB."""
    faulty("mse", leaking=LEAK)
    memory = psutil.virtual_memory()
    limit = (memory.total - memory.available + 3e9) / memory.total
    if limit > 0.9:
        pytest.skip("too little memory is free")
    update = {"families": ("faulty",), "trials": 2}
    of_loss, _ = searched(settings.model_copy(update=update), tmp_path, RAY_memory_usage_threshold=f"{limit:.3f}")
    assert of_loss["mse"].status == "finished"
    assert (of_loss["leaking"].status, of_loss["leaking"].failure_class) == ("failed", "oom")
