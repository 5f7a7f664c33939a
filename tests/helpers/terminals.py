"""nrtune on a terminal, which has a width and, as the environment says, abilities."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

ABILITIES = ("COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "PYTHONIOENCODING", "PYTHONUTF8")
"""Variables by which programs decide what they write; of the tests' own none counts."""


def command_of(*words: object) -> list[str]:
    """nrtune in a process of its own."""
    return [sys.executable, "-m", "nrtune", *map(str, words)]


def environment_with(given: dict[str, str]) -> dict[str, str]:
    """The tests' environment with other abilities."""
    return {name: value for name, value in os.environ.items() if name not in ABILITIES} | given


def on_a_terminal(*words: object, cwd: Path, width: int = 80, **environment: str) -> bytes:
    """What a command writes on a terminal, standard output and error. Fails where it ends with an error."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    given = environment_with({"TERM": "xterm"} | environment)
    process = subprocess.Popen(command_of(*words), cwd=cwd, env=given, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert process.wait(timeout=60) == 0, seen.decode(errors="replace")
    return seen


def in_a_file(*words: object, cwd: Path, **environment: str) -> bytes:
    """What a command writes into a file, standard output and error. Fails where it ends with an error."""
    with (cwd / "written").open("w+b") as file:
        code = subprocess.call(
            command_of(*words), cwd=cwd, env=environment_with(environment), stdout=file, stderr=subprocess.STDOUT
        )
        file.seek(0)
        written = file.read()
    assert code == 0, written.decode(errors="replace")
    return written


def too_long(text: str, width: int = 80) -> list[str]:
    """Lines that are too long, but for those of one word, and those that end in an address or path, to be copied whole."""
    lines = re.split(r"[\r\n]+", ESCAPE.sub("", text))
    return [line for line in lines if len(line) > width and not re.search(r"(^|\s)\S{30,}$", line)]
