"""The machine that a cluster is started from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hosts import run

TOP = Path(__file__).parents[2]
FILES = ("clusters", "cluster.yaml", "constraints.txt")


class Laptop:
    """Where `ray up` is called: a folder with what README has there, and a home with a token."""

    def __init__(self, folder: Path, namespace: str | None = None, **environment: str) -> None:
        self.folder, self.home = folder, folder / "home"
        self.namespace, self.own = namespace, environment
        self.enter = [] if namespace is None else ["ip", "netns", "exec", namespace]
        (self.home / ".ssh").mkdir(parents=True)
        (folder / "tmp").mkdir()
        for name in FILES:
            copy = shutil.copytree if (TOP / name).is_dir() else shutil.copy
            copy(TOP / name, folder / name)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "AWS_"))}
        temporary = str(folder / "tmp")
        self.environment = {**kept, "HOME": str(self.home), "TMPDIR": temporary, "RAY_TMPDIR": temporary,
                            "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", **environment}  # fmt: skip
        self.run("ray", "get-auth-token", "--generate")

    def command(self, program: str, *arguments: str) -> list[str]:
        """A command line of a program of this Python's environment, or another of this machine."""
        own = Path(sys.executable).with_name(program)
        return [*self.enter, str(own) if own.exists() else program, *arguments]

    def run(self, program: str, *arguments: str) -> str:
        """Run such a command to its end; returns both its outputs."""
        return run(*self.command(program, *arguments), cwd=self.folder, env=self.environment).stdout

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start such a command, in a session of its own, with its outputs together in a pipe."""
        return subprocess.Popen(
            self.command(program, *arguments), cwd=self.folder, env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
