"""nrtune in a process of its own, and ways to end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.settings import RunSettings


class Command:
    """A command line of nrtune in a process of its own, with a Ray of its own."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.command = [sys.executable, "-m", "orchestrator.cli", *map(str, arguments)]
        self.environment = {**os.environ, **environment}

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command, env=self.environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def strike(self, number: int, when: Callable[[], bool]) -> tuple[int, str]:
        """Start, send a signal once `when` holds, and return exit code and standard error."""
        process = self.start()
        deadline = time.monotonic() + 120
        while not when():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "the moment to strike never came"
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        return process.returncode, err

    def finish(self, seconds: float = 240) -> str:
        """Run to the end; returns standard error."""
        process = self.start()
        _, err = process.communicate(timeout=seconds)
        assert process.returncode == 0, err
        return err

    def kill(self, when: Callable[[], bool]) -> None:
        self.strike(signal.SIGKILL, when)


class CommandLine(Command):
    """The command of some settings."""

    def __init__(self, settings: RunSettings, folder: Path, **environment: str) -> None:
        path = folder / "settings.yaml"
        path.write_text(settings.to_yaml())
        super().__init__(settings.command, path, **environment)
        self.out = Path(str(settings.out))
