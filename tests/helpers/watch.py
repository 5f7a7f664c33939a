"""A watch on each test, which leaves nothing behind, and on the run as a whole, which ends what it started."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import reaper

# ---- the run of the tests as a whole

SECONDS_TO_END = 20
"""How long what a run started may take to end after it, Ray's processes for the most part."""


def untracked(folder: Path) -> set[str]:
    """Files that git neither has nor ignores; none where there is no git."""
    command = ["git", "-C", str(folder), "ls-files", "--others", "--exclude-standard"]
    try:
        return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines())
    except FileNotFoundError:
        return set()


class Watch:
    """Files that the run leaves, and a process beside it that ends what it started, even if the run can't do it itself.

    folder: what is looked after, if it is git's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, untracked(folder)
        environment = dict(os.environ)
        mark = os.environ[reaper.VARIABLE] = str(uuid.uuid4())  # for all but the watch itself
        self.process = subprocess.Popen(
            [sys.executable, reaper.__file__, mark, str(SECONDS_TO_END)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=environment, start_new_session=True,
        )  # fmt: skip

    def pytest_keyboard_interrupt(self) -> None:
        """Give what runs no time."""
        self.process.communicate("at once\n")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Say what is left of the run."""
        if self.process.returncode is not None:
            return
        left, _ = self.process.communicate()
        if left:
            sys.exit(f"these processes outlived the tests that started them, and were killed:\n{left}")
        if files := sorted(untracked(self.folder) - self.files):
            sys.exit(f"tests left files in {self.folder}: {', '.join(files)}")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C through to all that tests start, and have the run watched."""
    # A shell starts its jobs in the background with SIGINT ignored, and what they start inherits that.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # pytest-xdist's processes are of the run of the one that started them
        config.pluginmanager.register(Watch(config.rootpath))


def collect_garbage() -> None:
    """Collect it, and take all that is left out of what the collector looks through again and again."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    """What was imported is no garbage."""
    collect_garbage()


# ---- each test

OF_LIBRARIES = ("tqdm_monitor", "KMP_", "TORCHINDUCTOR_", "PYTEST_CURRENT_TEST")
"""What begins so is kept by a library for the life of a process: threads and variables."""

OF_IMPORTS = ("RAY_", "TUNE_")
"""Variables that modules of nrtune set when they are imported, whichever test is the first to do it."""


def lives_on(thread: threading.Thread) -> bool:
    """Whether a thread stays, though it has had time to end."""
    if thread.name.startswith(OF_LIBRARIES):
        return False
    gc.collect()  # a pool's threads end with it
    thread.join(SECONDS_TO_END)
    return thread.is_alive()


def children() -> set[int]:
    """The processes that this one has started and not waited for."""
    tasks = Path("/proc/self/task")
    if not tasks.exists():  # not Linux: psutil looks through all processes
        return {child.pid for child in psutil.Process().children()}
    found: set[int] = set()
    for thread in tasks.iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            found.update(map(int, (thread / "children").read_text().split()))
    return found


class Left:
    """What a test could leave behind in this process."""

    def __init__(self) -> None:
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(OF_LIBRARIES + OF_IMPORTS)
        }
        self.folder = os.getcwd()
        self.threads = set(threading.enumerate())
        self.children = children()
        self.interrupt = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def since(self, before: Left) -> list[str]:
        """What is there and was not, or is otherwise than it was."""
        found = [f"the variable {name}" for name in self.environment.keys() | before.environment.keys()
                 if self.environment.get(name) != before.environment.get(name)]  # fmt: skip
        found += [f"the thread {thread.name}" for thread in self.threads - before.threads if lives_on(thread)]
        found += [f"the process {pid}" for pid in self.children - before.children]
        if self.folder != before.folder:
            found.append(f"the working folder {self.folder}")
        if self.interrupt != before.interrupt:
            found.append("a handler of signals")
        return found


@pytest.fixture(scope="module", autouse=True)
def _no_rubbish() -> Iterator[None]:
    """What a module's tests left open is said of that module, not of a later one."""
    yield
    collect_garbage()


@pytest.fixture(autouse=True)
def _leaves_nothing() -> Iterator[None]:
    before = Left()
    yield
    left = Left().since(before)
    if left:
        pytest.fail(f"left behind: {', '.join(left)}")
