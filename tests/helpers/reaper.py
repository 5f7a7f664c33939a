"""Ends what a run of the tests leaves behind, however the run itself ends: Ctrl-C, kill -9, a crash.

    python tests/helpers/reaper.py MARK SECONDS < pipe

pytest holds the other end of the pipe. Once that is closed, processes that have MARK in their environment (it is handed on
from process to process, whatever session or parent they have) get SECONDS to end of themselves, or none if a line came
through the pipe; then they are killed, and named on standard output, a line each.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

import psutil

VARIABLE = "NRTUNE_TEST_RUN"


def marked(mark: str, variable: str = VARIABLE) -> list[psutil.Process]:
    """Processes of this run, or of another mark, this one aside."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(variable) == mark:
                found.append(process)
    return found


def reap(mark: str, seconds: float) -> list[str]:
    """Wait, kill, and return the command lines of those that had to be killed."""
    deadline = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    named = []
    for process in left:
        with contextlib.suppress(psutil.Error):
            named.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
    return named


if __name__ == "__main__":
    seconds = 0.0 if sys.stdin.readline() else float(sys.argv[2])
    for line in reap(sys.argv[1], seconds):
        print(line, flush=True)  # noqa: T201
