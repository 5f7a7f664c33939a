"""What stands around a search: its folder on a disk of its own, a place for temporary files, an MLflow server, its process.

Faults harm it (fault_table.py); the test says what must hold all the same (test_surrounding_faults.py).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import psutil
import reaper
from command_line import LONGEST, Process, wait_until
from servers import answers, free_port, mlflow_server

from nrtune.orchestrator.state.locations import DATABASE, default_uri
from nrtune.orchestrator.state.settings import Settings

MARK = "NRTUNE_CHAOS"
"""A variable of all processes that a search starts here, by which those are found that outlive it."""

SECONDS_TO_END = 30
"""How long after a search what it started may take to end: Ray's raylet and agents notice by themselves that it is gone."""

PATIENCE = 900
"""Seconds after which something is thought to hang here, where a search trains all its trials between two events."""

POLITE = frozenset({0, 1, 2, 130})
"""Codes of a search that ended as it should: done, with no trial or some put off, refused, or interrupted."""


@dataclasses.dataclass
class Start:
    """How the search is started next. prefix: the command before it. folder: where it is called, None for the tests' own."""

    environment: dict[str, str]
    prefix: list[str] = dataclasses.field(default_factory=list)
    folder: Path | None = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


class Server:
    """An MLflow server that can be killed and comes back at the same port, with all that it had."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.uri, self.database = f"http://127.0.0.1:{self.port}", folder / "server.db"
        folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it unless it runs; it answers some time later, while the search goes on."""
        if not self.running:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            self._process = subprocess.Popen(light_server(self.folder, self.port), start_new_session=True, **quiet)

    def signal(self, number: int) -> None:
        """Send it and all its processes a signal, if it runs."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, number)
            if number == signal.SIGKILL:
                self._process.wait()

    def close(self) -> None:
        """End it, also where it was stopped."""
        for number in (signal.SIGCONT, signal.SIGTERM):
            self.signal(number)
        if self._process is not None:
            self._process.wait(30)


class Stage:
    """The search of some settings, from start to start.

    total: the epochs that all its trials train if nobody disturbs them, by which moments are told. out: where the campaign is
    now. random: by which the fault that is planted decides what it leaves open.
    """

    def __init__(self, settings: Settings, folder: Path, total: int) -> None:
        self.settings, self.folder, self.total = settings, folder, total
        self.random = random.Random(0)
        self.mark = str(uuid.uuid4())
        self._stack = ExitStack()
        self.driver: Process | None = None
        self.said = ""
        self._originals: dict[Path, dict[str, str]] = {}
        self._in_shared_memory = set(os.listdir("/dev/shm"))
        self._rays: set[Path] = set()

    def __enter__(self) -> Self:
        with self._stack as stack:
            self.disk = mounted(self.folder / "disk", 400, stack)
            # Short, for sockets.
            self.temporary = mounted(Path(tempfile.mkdtemp(prefix="nrc-", dir="/tmp")), 200, stack)
            self.out = self.disk / "campaign"
            self.server = Server(self.folder / "server")
            stack.callback(self.server.close)
            self.server.start()
            wait_until(lambda: answers(self.server.uri), "the server answers")
            stack.callback(self._kill_all)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _kill_all(self) -> None:
        if self.driver is not None:
            self.driver.__exit__()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()

    def fresh_start(self, *, at_server: bool = False) -> Start:
        """A start without faults, tracked in the campaign's folder or at the server."""
        environment = {**os.environ, MARK: self.mark, "TMPDIR": str(self.temporary)}
        return Start(environment, settings={"tracking_uri": self.server.uri if at_server else None})

    def launch(self, start: Start) -> Process:
        """Start the search in the folder where the campaign is now."""
        uri = start.settings["tracking_uri"] or default_uri(self.out)
        wanted = self.settings.model_copy(update={**start.settings, "out": self.out, "tracking_uri": uri})
        path = self.folder / "settings.yaml"
        path.write_text(wanted.to_yaml())
        nrtune = str(Path(sys.executable).with_name("nrtune"))
        return Process([*start.prefix, nrtune, "search", str(path)], start.environment, folder=start.folder)

    def start(self, start: Start) -> None:
        """Start the search that faults are planted around from now on."""
        self._start = start
        self.at_server = start.settings["tracking_uri"] is not None
        self.driver = self.launch(start)

    @property
    def running(self) -> bool:
        return self.driver is not None and self.driver.process.poll() is None

    @property
    def database(self) -> Path:
        """MLflow's, where the search is tracked now."""
        return self.server.database if self.at_server else self.out / DATABASE

    def processes(self, name: str = "") -> list[psutil.Process]:
        """What the search has started and runs, itself included: all, or those with such a word in their command."""
        found = []
        for process in reaper.marked(self.mark, MARK):
            with suppress(psutil.Error):
                if name in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def epochs(self) -> int:
        """How many are trained and stored, of all trials."""
        found = 0
        for path in self.out.glob("trials/*/history.json"):
            with suppress(OSError):
                found += path.read_text().count('"epoch"')
        return found

    def after(self, epochs: int) -> Callable[[], bool]:
        """Whether so many more are trained, or the search has ended."""
        until = self.epochs() + epochs
        return lambda: not self.running or self.epochs() >= until

    def wait(self, event: Callable[[], bool], what: str) -> None:
        """Wait for an event, of which the end of the search is one."""
        try:
            wait_until(event, what, PATIENCE)
        except AssertionError as error:
            said = "" if self.driver is None else f"\n{self.driver.err}\n{stacks(self.driver.process.pid)}"
            raise AssertionError(f"{error}{said}") from None

    def wait_for_share(self, share: float) -> None:
        """Wait until Ray starts and such a share of all epochs is trained, or the search has ended."""

        def come() -> bool:
            if self.driver is None or not self.running:
                return True
            return "starting Ray" in self.driver.err and self.epochs() >= share * self.total

        self.wait(come, f"{share:.0%} are trained")

    def go_on(self) -> None:
        """Start again if a fault, now undone, has ended the search before its time."""
        if self.driver is None or (not self.running and self.end() != 0):
            self.start(self._start)

    def end(self, number: int | None = None, codes: Collection[int] = POLITE) -> int:
        """Send a signal, if one is given, and wait for the search's end: with such a code, a sentence, and nothing left."""
        assert self.driver is not None
        try:
            code = self.driver.end(number, PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on: {self.driver.err}\n{stacks(self.driver.process.pid)}") from None
        self.said = err = self.driver.err
        assert code in codes, f"code {code}\n{err}"
        assert "Traceback" not in err, err
        pid, self.driver = self.driver.process.pid, None
        self._rays.update(Path("/tmp/ray").glob(f"session_*_{pid}"))
        self._check_nothing_runs()
        self._check_originals()
        return code

    def refused(self, start: Start) -> str:
        """What a start says that must be refused; in seconds, and without a Ray."""
        with self.launch(start) as process:
            since = time.monotonic()
            code = process.end()
            assert code == 2, f"code {code}\n{process.err}"
            assert "starting Ray" not in process.err
            assert time.monotonic() - since < LONGEST / 4
        assert "Traceback" not in process.err, process.err
        return process.err

    def leave(self, original: Path) -> None:
        """Go on elsewhere, with a copy: from now on nothing may touch the original, which goes after the next end."""
        self._originals[original] = contents(original)

    def _check_originals(self) -> None:
        for original, before in list(self._originals.items()):
            if original != self.out:
                assert contents(original) == before, f"{original} was written to by its copy"
                del self._originals[original]
                shutil.rmtree(original)

    def _check_nothing_runs(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_END
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        named = []
        for process in left:
            with suppress(psutil.Error):
                named.append(f"{process.pid} of {process.ppid()}: {' '.join(process.cmdline())[:150]}")
        assert not named, "\n".join(["outlived the search:", *named])

    def left(self) -> list[str]:
        """What is on the machine that was not before: processes aside, which every end looks after."""
        sockets = [path for path in self.temporary.rglob("*") if path.is_socket()]
        sockets += [path for ray in self._rays for path in ray.rglob("*") if path.is_socket()]
        files = [path for path in self.temporary.iterdir() if path.name != "ray"]
        here = {Path("/dev/shm") / name for name in set(os.listdir("/dev/shm")) - self._in_shared_memory}
        partial = [*self.out.rglob("*.partial")]
        return sorted(map(str, [*sockets, *files, *partial, *(here - in_use(here))]))


def light_server(folder: Path, port: int) -> list[str]:
    """The command of an MLflow server of one worker: four take four times as long to start."""
    return mlflow_server(folder, port, "--artifacts-destination", str(folder / "store"), "--workers", "1")


def in_use(paths: set[Path]) -> set[Path]:
    """Those that some process has open or mapped: another job's, as long as it runs."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            used = [item.path for item in (*process.open_files(), *process.memory_maps())]
            found |= {path for path in paths for one in used if Path(one).is_relative_to(path)}
    return found


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def mounted(folder: Path, megabytes: int, stack: ExitStack) -> Path:
    """A folder that is a small file system of its own where that may be made, and goes with the stack."""
    folder.mkdir(parents=True, exist_ok=True)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    if mount := shutil.which("mount"):
        command = [mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
    return folder


def stacks(pid: int) -> str:
    """Where a process's threads are."""
    command = [Path(sys.executable).with_name("py-spy"), "dump", "--pid", str(pid)]  # Ray's dashboard has it
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout
