"""Faults of the machine on which a search runs, of its Ray, and the ends that it can come to."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

import psutil
from fault_table import before, during, ending, fill, refused
from servers import free_port
from stage import POLITE, Stage, Start
from test_working_folder import THEIRS


@before()
def temporary_folder_with_too_long_a_name(stage: Stage, start: Start) -> Iterator[None]:
    long = stage.temporary / ("long" * 30)
    long.mkdir()
    start.environment["TMPDIR"] = str(long)
    yield
    long.rmdir()  # in which nothing is


@before()
def one_core(stage: Stage, start: Start) -> Iterator[None]:
    start.prefix += ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    yield


@before()
def users_own_modules(stage: Stage, start: Start) -> Iterator[None]:
    start.folder = stage.folder / "working"
    for name in THEIRS:
        (start.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (start.folder / name).write_text("raise SystemExit('is the user\\'s own')\n")
    yield
    shutil.rmtree(start.folder)


@refused()
def ray_address_dead(stage: Stage, start: Start) -> Iterator[str]:
    start.environment["RAY_ADDRESS"] = f"127.0.0.1:{free_port()}"
    yield "unset RAY_ADDRESS"


@refused()
def ray_address_of_a_dashboard(stage: Stage, start: Start) -> Iterator[str]:
    start.environment["RAY_ADDRESS"] = "http://127.0.0.1:8265"
    yield "unset RAY_ADDRESS"


@refused(own_disk=True)
def temporary_folder_full(stage: Stage, start: Start) -> Iterator[str]:
    filler = fill(stage.temporary)
    yield f"TMPDIR {stage.temporary}"
    filler.unlink()


@refused()
def temporary_folder_missing(stage: Stage, start: Start) -> Iterator[str]:
    start.environment["TMPDIR"] = f"{stage.temporary}/gone"
    yield "doesn't exist"


@refused()
def address_space_limited(stage: Stage, start: Start) -> Iterator[str]:
    start.prefix += ["prlimit", "--as=16000000000"]
    yield "ulimit -v"


@during(own_disk=True)
def temporary_folder_filled(stage: Stage) -> Iterator[Callable[[], bool]]:
    filler = fill(stage.temporary)
    yield stage.after(stage.random.randint(1, 30))
    filler.unlink()


@during()
def affinity_changed(stage: Stage) -> Iterator[Callable[[], bool]]:
    core = stage.random.choice([*os.sched_getaffinity(0)])
    for process in stage.processes():
        with suppress(psutil.Error):
            process.cpu_affinity([core])
    yield stage.after(0)


@during()
def worker_killed(stage: Stage) -> Iterator[Callable[[], bool]]:
    kill(stage, "Trainable")
    yield stage.after(1)


@ending
def interrupted(stage: Stage) -> Collection[int]:
    return _sent(stage, signal.SIGINT)


@ending
def terminated(stage: Stage) -> Collection[int]:
    return _sent(stage, signal.SIGTERM)


@ending
def hung_up(stage: Stage) -> Collection[int]:
    return _sent(stage, signal.SIGHUP)


@ending
def killed(stage: Stage) -> Collection[int]:
    return _sent(stage, signal.SIGKILL)


@ending
def raylet_killed(stage: Stage) -> Collection[int]:
    kill(stage, "/raylet/raylet")
    return POLITE


@ending
def gcs_killed(stage: Stage) -> Collection[int]:
    kill(stage, "/gcs/gcs_server")
    return POLITE


def _sent(stage: Stage, number: int) -> Collection[int]:
    assert stage.driver is not None
    stage.driver.process.send_signal(number)
    # It may have been done a moment before.
    return {0, -number if number == signal.SIGKILL else 130}


def kill(stage: Stage, name: str) -> None:
    """SIGKILL what runs of the search with such a word in its command, if anything does."""
    for process in stage.processes(name):
        with suppress(psutil.Error):
            process.kill()
