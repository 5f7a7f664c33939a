"""nrtune in a process of its own, and ways to end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self

import psutil

from nrtune.orchestrator.state.settings import RunSettings

LONGEST = 240
"""Seconds after which a process is thought to hang; nothing here takes a tenth of that on a quiet machine."""


def wait_until(when: Callable[[], object], what: str, seconds: float = LONGEST) -> None:
    """Wait for an event. Fails where it does not come."""
    deadline = time.monotonic() + seconds
    while not when():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.02)


class Process:
    """A command that runs: what it has said on standard error so far, and its end. Killed where its `with` block is left."""

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        stdout: IO[str] | int = subprocess.DEVNULL,
        folder: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            command, env=environment, text=True, stdout=stdout, stderr=subprocess.PIPE, cwd=folder
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.lines.extend(iter(lines.readline, ""))

    @property
    def err(self) -> str:
        """Standard error so far."""
        return "".join(self.lines)

    def wait_until(self, when: Callable[[], object], what: str) -> None:
        """Wait for an event while the process runs."""

        def there() -> bool:
            over = self.process.poll() is not None
            reached = bool(when())
            assert reached or not over, f"ended before this: {what}\n{self.err}"
            return reached

        wait_until(there, what)

    def wait_until_said(self, text: str) -> None:
        """Wait until a line has this text."""
        self.wait_until(lambda: text in self.err, text)

    def wait_until_started(self, name: str) -> None:
        """Wait until a program of this name runs below the process."""
        of_this = psutil.Process(self.process.pid)

        def running() -> bool:
            return any(name in child.name() for child in of_this.children(recursive=True))

        self.wait_until(running, f"{name} runs")

    def end(self, number: int | None = None, seconds: float = LONGEST) -> int:
        """Send a signal, if one is given, and return the exit code once all is said.

        Raises subprocess.TimeoutExpired where the process goes on all the same.
        """
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=seconds)
        self._reader.join(timeout=LONGEST)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


class Command:
    """A command line of nrtune, for a process of its own with a Ray of its own, in `folder` or where the tests run."""

    def __init__(self, *arguments: object, folder: Path | None = None, **environment: str) -> None:
        self.command = [str(Path(sys.executable).with_name("nrtune")), *map(str, arguments)]
        self.environment, self.folder = {**os.environ, **environment}, folder

    def start(self) -> Process:
        return Process(self.command, self.environment, folder=self.folder)

    def strike(self, number: int, when: Callable[[], object]) -> tuple[int, str]:
        """Start, send a signal once `when` holds, and return exit code and standard error."""
        with self.start() as process:
            process.wait_until(when, "the moment to strike")
            return process.end(number), process.err

    def finish(self, seconds: float = LONGEST) -> str:
        """Run to the end; returns standard error."""
        with self.start() as process:
            assert process.end(seconds=seconds) == 0, process.err
            return process.err

    def kill(self, when: Callable[[], object]) -> None:
        self.strike(signal.SIGKILL, when)


class CommandLine(Command):
    """The command of some settings."""

    def __init__(self, settings: RunSettings, folder: Path, **environment: str) -> None:
        path = folder / "settings.yaml"
        path.write_text(settings.to_yaml())
        super().__init__(settings.command, path, **environment)
        self.out = Path(str(settings.out))
