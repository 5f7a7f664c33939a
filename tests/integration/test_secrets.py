"""What a campaign with passwords wrote, printed, logged and showed in the list of processes has none of them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from command_line import Command, CommandLine
from postgres import database
from servers import door_to, free_port, mlflow_server, served

from nrtune.orchestrator.state.locations import OPTUNA_VARIABLE, TRACKING_VARIABLE
from nrtune.orchestrator.state.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # two searches, and five commands

PASSWORD, ROTATED = "hunter2secret", "hunter3secret"


@contextmanager
def watched() -> Iterator[dict[int, str]]:
    """Processes whose command line shows a password while this lasts, and goes on to show it."""
    shown: dict[int, str] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            for process in psutil.process_iter():
                try:
                    words = " ".join(process.cmdline())
                except psutil.Error:
                    continue
                if PASSWORD in words or ROTATED in words:
                    shown[process.pid] = words
                elif words:
                    shown.pop(process.pid, None)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield shown
    finally:
        over.set()
        thread.join()


def holding(folder: Path) -> list[Path]:
    """Files that have a password in them, whatever they are."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in files if PASSWORD.encode() in path.read_bytes() or ROTATED.encode() in path.read_bytes()]


def test_no_password_is_left_anywhere(settings: Settings, tmp_path: Path):
    port, temporary = free_port(), Path(tempfile.mkdtemp(prefix="nrt", dir="/tmp"))  # short, for Ray's sockets
    out = settings.out
    with (
        database(PASSWORD) as storage,
        served(mlflow_server(tmp_path, port), port),
        door_to(f"http://127.0.0.1:{port}", f"ada:{PASSWORD}") as door,
        watched() as shown,
    ):
        secret = door.uri.replace("://", f"://ada:{PASSWORD}@")
        environment = {TRACKING_VARIABLE: secret, OPTUNA_VARIABLE: storage, "TMPDIR": str(temporary)}
        said = []

        def run(*arguments: object, code: int = 0) -> None:
            command = Command(*arguments, **environment)
            done = subprocess.run(command.command, env=command.environment, capture_output=True, text=True)
            said.append(done.stdout + done.stderr)
            assert done.returncode == code, said[-1]

        try:
            said.append(CommandLine(settings, tmp_path, **environment).finish())
            for command in ("status", "report", "track"):
                run(command, out)
            assert shown == {}

            # Wrong ones, which are no other campaign; and in the command line, from which they go at once.
            environment |= {TRACKING_VARIABLE: secret.replace(PASSWORD, ROTATED)}
            run("track", out, code=2)
            environment[OPTUNA_VARIABLE] = storage.replace(PASSWORD, ROTATED)
            run("search", "--resume", "--out", out, "--trials", 2, code=2)
            del environment[OPTUNA_VARIABLE], environment[TRACKING_VARIABLE]
            run(
                "search",
                "--resume",
                "--out",
                out,
                f"--optuna-storage={storage}",
                "--tracking-uri",
                secret,
                "--trials",
                2,
            )
            assert shown == {}
        finally:
            written = holding(tmp_path) + holding(temporary)
            shutil.rmtree(temporary)
    assert written == []
    assert [text for text in said if PASSWORD in text or ROTATED in text] == []
    assert "refuses the login" in said[4]
    assert "password authentication failed" in said[5]
    assert "MLflow: http://ada@127.0.0.1" in said[0]
