"""Ray's own processes are killed under a search, or its driver is: one sentence, nothing left, and the same command goes on.

Where they are slow to start, as on a busy machine, they are waited for, and tried again where that is in vain.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from command_line import CommandLine, Process, wait_until

from nrtune.analysis.store.records import read_records, read_status
from nrtune.orchestrator.execution.guardian import MARK
from nrtune.orchestrator.execution.native_output import RAY_LOGS
from nrtune.orchestrator.execution.ray_session import ATTEMPTS
from nrtune.orchestrator.state.settings import Settings


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files, whose name is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="nrt", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def of_ray(place: Path) -> list[psutil.Process]:
    """The processes of a Ray that has its folder in this place."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(str(place)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def training(command: CommandLine, process: Process) -> None:
    """Wait until a trial is trained."""
    process.wait_until(lambda: any(command.out.glob("trials/*/last.pt")), "an epoch of a trial")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_search_under_which_ray_dies_says_so_and_goes_on(name: str, settings: Settings, tmp_path: Path, place: Path):
    wanted = settings.model_copy(update={"epochs": 30})
    command = CommandLine(wanted, tmp_path, TMPDIR=str(place))
    with command.start() as process:
        training(command, process)
        next(one for one in of_ray(place) if one.name() == name).kill()
        code, err = process.end(seconds=30), process.err
    assert code == 2, err
    (said,) = [line for line in err.splitlines() if line.startswith("nrtune: ")]
    assert said.startswith(f"nrtune: Ray's {name} was killed by signal 9 while the search ran")
    assert "start the same command again" in said
    assert "Traceback" not in err
    assert (command.out / RAY_LOGS / f"{name}.out").exists()
    assert of_ray(place) == []
    assert [*place.iterdir()] == []
    assert read_status(command.out)["state"] == "interrupted"
    command.finish()
    assert [record.status for record in read_records(command.out)] == ["finished"]


def test_a_driver_that_is_killed_leaves_nothing(settings: Settings, tmp_path: Path, place: Path):
    command = CommandLine(settings.model_copy(update={"epochs": 200}), tmp_path, TMPDIR=str(place))
    with command.start() as process:
        training(command, process)
        assert of_ray(place)
        process.end(signal.SIGKILL)
    wait_until(lambda: not [*place.iterdir()], "its folder is gone")
    assert of_ray(place) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_polite_end_leaves_nothing(number: int, settings: Settings, tmp_path: Path, place: Path):
    command = CommandLine(settings.model_copy(update={"epochs": 200}), tmp_path, TMPDIR=str(place))
    with command.start() as process:
        training(command, process)
        assert process.end(number, seconds=60) == 130, process.err
        assert "the same command again goes on from here" in process.err
    assert of_ray(place) == []
    assert [*place.iterdir()] == []


def stopping(place: Path, word: str, most: int) -> Callable[[], list[psutil.Process]]:
    """What stops processes with a word in their command as soon as there are some, up to so many, and says which."""
    found: list[psutil.Process] = []

    def look() -> list[psutil.Process]:
        for process in of_ray(place):
            with suppress(psutil.Error):
                if len(found) < most and process not in found and word in " ".join(process.cmdline()[:4]):
                    process.suspend()
                    found.append(process)
        return found

    return look


@pytest.mark.slow
def test_an_agent_that_imports_for_long_keeps_no_search_waiting(settings: Settings, tmp_path: Path, place: Path):
    """One that has not even begun when the first trial trains; of both the one that takes longer."""
    command, stop = CommandLine(settings, tmp_path, TMPDIR=str(place)), stopping(place, "dashboard/agent.py", 1)
    with command.start() as process:
        process.wait_until(stop, "the agent is there")
        training(command, process)
        (agent,) = stop()
        assert agent.status() == psutil.STATUS_STOPPED
        agent.resume()
        assert process.end() == 0, process.err
    assert "trying again" not in process.err
    assert of_ray(place) == []


@pytest.mark.slow
@pytest.mark.parametrize("slow", [1, ATTEMPTS])
def test_a_node_that_is_not_up_in_its_time_is_tried_again(slow: int, settings: Settings, tmp_path: Path, place: Path):
    command, stop = CommandLine(settings, tmp_path, TMPDIR=str(place)), stopping(place, "raylet/raylet", slow)
    with command.start() as process:
        process.wait_until(lambda: len(stop()) == slow, "so many do not come up")
        assert process.end() == (2 if slow == ATTEMPTS else 0), process.err
    assert "Traceback" not in process.err
    assert process.err.count("trying again") == min(slow, ATTEMPTS - 1)
    assert (f"nrtune: Ray did not start on this machine, tried {ATTEMPTS} times (" in process.err) is (slow == ATTEMPTS)
    assert of_ray(place) == []
    assert [*place.iterdir()] == []
