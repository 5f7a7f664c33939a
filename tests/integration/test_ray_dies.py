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


def struck(place: Path, word: str, strike: Callable[[psutil.Process], None], most: int) -> Callable[[], int]:
    """What strikes processes with a word in their command as soon as there are some, up to so many, and says how many."""
    found: list[psutil.Process] = []

    def look() -> int:
        for process in of_ray(place):
            with suppress(psutil.Error):
                if len(found) < most and process not in found and word in " ".join(process.cmdline()[:4]):
                    strike(process)
                    found.append(process)
        return len(found)

    return look


@pytest.mark.slow
def test_an_agent_that_imports_for_long_keeps_no_search_waiting(settings: Settings, tmp_path: Path, place: Path):
    """One that has not even begun when the first trial trains; of both the one that takes longer."""
    command, agents = CommandLine(settings, tmp_path, TMPDIR=str(place)), list[psutil.Process]()

    def stop(process: psutil.Process) -> None:
        process.suspend()
        agents.append(process)

    with command.start() as process:
        process.wait_until(struck(place, "dashboard/agent.py", stop, 1), "the agent is there")
        training(command, process)
        (agent,) = agents
        assert agent.status() == psutil.STATUS_STOPPED
        agent.resume()
        assert process.end() == 0, process.err
    assert "trying again" not in process.err
    assert of_ray(place) == []


@pytest.mark.slow
@pytest.mark.parametrize("failing", [1, ATTEMPTS])
def test_a_start_that_fails_is_tried_again(failing: int, settings: Settings, tmp_path: Path, place: Path):
    command = CommandLine(settings, tmp_path, TMPDIR=str(place), RAY_gcs_server_port_wait_time_s="20")
    kill = struck(place, "gcs/gcs_server", psutil.Process.kill, failing)
    with command.start() as process:
        process.wait_until(lambda: kill() == failing, "so many are killed")
        assert process.end() == (2 if failing == ATTEMPTS else 0), process.err
    assert "Traceback" not in process.err
    assert process.err.count("trying again") == min(failing, ATTEMPTS - 1)
    sentence = f"nrtune: Ray did not start on this machine, tried {ATTEMPTS} times ("
    assert (sentence in process.err) is (failing == ATTEMPTS)
    assert of_ray(place) == []
    assert [*place.iterdir()] == []
