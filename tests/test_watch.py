"""A run of the tests that is ended takes with it what it started, and one that leaves something behind is told so."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from command_line import LONGEST, wait_until

HERE = Path(__file__).parent / "helpers"

HANGS = """
import pathlib, subprocess, sys, time

def test_hangs():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    pathlib.Path("pid.partial").write_text(str(child.pid))
    pathlib.Path("pid.partial").rename("pid")
    time.sleep(600)
"""

LEAVES = {
    "process": "import subprocess; kept = subprocess.Popen(['sleep', '600'])",
    "thread": "import threading, time; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "variable LEFT": "import os; os.environ['LEFT'] = '1'",
    "working folder": "import os, tempfile; os.chdir(tempfile.gettempdir())",
    "handler of signals": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
}


def run_of(tests: str, folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command and environment of a run of pytest over a file of tests that are watched as these are."""
    shutil.copy(HERE / "reaper.py", folder)
    watch = (HERE / "watch.py").read_text()
    (folder / "conftest.py").write_text(watch.replace("SECONDS_TO_END = 20", "SECONDS_TO_END = 1"))
    (folder / "test_some.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
    return [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", *arguments], environment


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (signal.SIGINT, ["-n", "2"]),
        pytest.param(signal.SIGINT, [], marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, ["-n", "2"], marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, [], marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_ended_ends_what_it_started(number: int, arguments: list[str], tmp_path: Path):
    command, environment = run_of(HANGS, tmp_path, *arguments)
    pid = tmp_path / "pid"
    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=out, stderr=out, start_new_session=True
        ) as process,
    ):
        try:
            wait_until(lambda: pid.exists() or process.poll() is not None, "the test runs")
            assert pid.exists(), (tmp_path / "out").read_text()
            child = psutil.Process(int(pid.read_text()))
            process.send_signal(number)
            process.wait(LONGEST)
            wait_until(lambda: not child.is_running(), "what the test started is gone")
        finally:
            process.kill()


@pytest.mark.end_to_end
def test_what_a_test_leaves_behind_fails_it(tmp_path: Path):
    tests = "\n".join(f"def test_{n}():\n    {code}\n" for n, code in enumerate(LEAVES.values()))
    command, environment = run_of(tests, tmp_path, "--tb=line")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    for what in LEAVES:
        assert f"left behind: the {what}" in done.stdout or f"left behind: a {what}" in done.stdout, done.stdout
    assert f"{len(LEAVES)} passed, {len(LEAVES)} error" in done.stdout
    # What still runs at the end is named, and killed.
    assert "outlived the tests that started them" in done.stderr
    assert "sleep 600" in done.stderr


@pytest.mark.end_to_end
def test_files_that_tests_leave_are_said(tmp_path: Path):
    command, environment = run_of("def test_writes():\n    open('left.txt', 'w').close()\n", tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert f"tests left files in {tmp_path}: left.txt" in done.stderr, done
    assert done.returncode == 1
