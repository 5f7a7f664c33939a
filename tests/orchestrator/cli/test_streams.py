"""The program beside pipes that close, disks that are full, encodings that lack signs, and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import IO, Any

import pytest

NRTUNE = [sys.executable, "-m", "nrtune"]
WAITS = """
import time
from nrtune.orchestrator.cli import main

def app():
    print("ready", flush=True)
    time.sleep(600)

main.app = app
main.program()
"""


def told(*words: str, stdout: IO[str] | int = subprocess.PIPE, **environment: str) -> Any:
    """What a command that takes a moment ended with."""
    return subprocess.run(
        [*NRTUNE, *words], stdout=stdout, stderr=subprocess.PIPE, check=False, env={**os.environ, **environment}
    )


def test_a_reader_that_has_had_enough_ends_it_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    done = told("search", "--help", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = told("search", "--help", stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"nrtune: standard output can't be written (No space left on device)\n"


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "NAME,…"), ("ascii", "NAME,..."), ("latin-1", "NAME,...")])
def test_signs_that_an_encoding_lacks_are_others(encoding: str, shown: str):
    done = told("search", "--help", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert shown in done.stdout.decode(encoding)
    wrong = told("trials", "no…where", PYTHONIOENCODING=encoding)
    assert wrong.returncode == 2
    assert shown.removeprefix("NAME,") in wrong.stderr.decode(encoding)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_polite_kill_and_a_closed_terminal_are_as_ctrl_c(number: int):
    with waiting([sys.executable, "-c", WAITS]) as process:
        process.send_signal(number)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_nohup_keeps_ignoring_a_terminal_that_closes():
    with waiting(["nohup", sys.executable, "-c", WAITS]) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130


def waiting(command: list[str]) -> subprocess.Popen[str]:
    """A program that does nothing, and has begun with it."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
