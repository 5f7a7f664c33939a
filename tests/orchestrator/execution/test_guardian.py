"""Whatever way a driver ends, what it has started ends, and its folder is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from command_line import wait_until

from nrtune.orchestrator.execution.guardian import LENGTH, MARK, guarded, remove_abandoned

DRIVER = """
import os, signal, subprocess, sys, time
from pathlib import Path
from nrtune.orchestrator.execution.guardian import guarded, mark_of

# Deaf to politeness, in a session of its own, and with a child that outlives it: as much as Ray's processes may be.
STUBBORN = (
    "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "subprocess.Popen(['sleep', '600'], start_new_session=True); print(flush=True); time.sleep(600)"
)
with guarded(Path(sys.argv[1])) as folder:
    (folder / "sockets").mkdir()
    command = [sys.executable, "-c", STUBBORN]
    started = subprocess.Popen(
        command, env={**os.environ, **mark_of(folder)}, start_new_session=True, stdout=subprocess.PIPE
    )
    started.stdout.readline()
    print(folder, flush=True)
    sys.stdin.readline()
    if sys.argv[2] == "raise":
        raise ValueError("on purpose")
"""


def of_folder(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def guardian_of(folder: Path) -> psutil.Process:
    return guardians(folder)[0]


def guardians(folder: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if str(folder) in (one.info["cmdline"] or ())[4:5]]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A driver that has started two processes and waits, and its folder."""
    yield from _driver(tmp_path, "end")


def _driver(place: Path, end: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    command = [sys.executable, "-c", DRIVER, str(place), end]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        # A process that has just been forked has its program, and its environment, a moment later.
        wait_until(lambda: len(of_folder(folder)) == 2 and guardians(folder), "two processes and their guardian")
        yield process, folder
        process.kill()


@pytest.mark.parametrize("end", ["end", "raise"])
def test_when_a_driver_has_ended_nothing_is_left(end: str, tmp_path: Path):
    for process, folder in _driver(tmp_path, end):
        process.communicate("\n")
        assert process.returncode == (end == "raise")
        assert of_folder(folder) == []
        assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_driver_that_is_struck_down_leaves_nothing_after_seconds(number: int, driver):
    process, folder = driver
    process.send_signal(number)
    process.wait()
    wait_until(lambda: not folder.exists(), "its folder is gone")
    assert of_folder(folder) == []


def test_a_signal_to_the_whole_group_spares_the_guardian(tmp_path: Path, driver):
    process, folder = driver
    assert os.getpgid(guardian_of(folder).pid) != os.getpgid(process.pid)
    guardian_of(folder).send_signal(signal.SIGHUP)
    guardian_of(folder).send_signal(signal.SIGTERM)
    process.communicate("\n")
    assert [*tmp_path.iterdir()] == []


def test_where_the_guardian_is_killed_too_the_next_start_sees_to_it(tmp_path: Path, driver):
    process, folder = driver
    remove_abandoned(tmp_path)
    assert len(of_folder(folder)) == 2  # it is not abandoned
    guardian = guardian_of(folder)
    process.kill()
    guardian.kill()
    process.wait()
    wait_until(lambda: not guardian.is_running(), "the guardian is gone")
    with guarded(tmp_path) as other:
        assert [*tmp_path.iterdir()] == [other]
    assert of_folder(folder) == []


def test_what_is_not_of_the_folder_stays(tmp_path: Path):
    named = [tmp_path / name for name in ("nrtune-notes", "ray", "nrtune-")]
    for folder in named:
        folder.mkdir()
    with guarded(tmp_path) as mine:
        assert len(mine.name) == LENGTH
        assert (mine.stat().st_mode & 0o777) == 0o700
        other = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: f"{mine}-2"})
    assert other.poll() is None
    other.kill()
    other.wait()
    assert {*tmp_path.iterdir()} == {*named}


def test_another_users_is_left(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another account")
    folder = tmp_path / "nrtune-0123"
    folder.mkdir()
    os.chown(folder, 65_534, 65_534)
    remove_abandoned(tmp_path)
    assert [*folder.iterdir()] == []
    os.chown(folder, 0, 0)
    remove_abandoned(tmp_path)
    assert not folder.exists()


def test_a_link_that_another_has_laid_is_not_followed(tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / "nrtune-0123").symlink_to(mine)
    remove_abandoned(tmp_path)
    assert [*mine.iterdir()] == []
