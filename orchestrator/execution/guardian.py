"""Ends what a program leaves behind, however that ends: a process beside it, which outlives it by seconds.

    python guardian.py FOLDER DRIVER < pipe

The driver holds the other end of the pipe. Once that is closed, or the driver gone, every process that has FOLDER as MARK in its
environment is ended (it is handed on from process to process, whatever session, group or parent they have), and FOLDER with
what is in it removed. A folder whose lock nobody holds is one whose guardian was killed as well: the next start sees to it.

Nothing but the standard library is imported here, nothing of nrtune: the process starts in a fiftieth of a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "NRTUNE_OWNER"
PREFIX = "nrtune-"
LENGTH = len(PREFIX) + 4
LOCK = "lock"

GRACE_SECONDS = 2.0
"""What processes have to end of themselves, from when they are told to."""

LONGEST_SECONDS = 20.0
"""One that can't be killed waits for a disk or a driver of a device, and ends after that."""


@contextlib.contextmanager
def guarded(place: Path) -> Iterator[Path]:
    """A folder of its own in a place; at the end it is gone, and with it each process that was started with `mark_of` it.

    That is so after whatever end of this process: an error, a signal, SIGKILL. Folders that others have left there, as machine or
    guardian were struck down, are removed first.
    """
    remove_abandoned(place)
    folder, lock = _new_folder(place)
    try:
        command = [sys.executable, "-I", "-S", __file__, str(folder), str(os.getpid())]
        # A session of its own: what a terminal or a batch system sends to a group does not reach it.
        process = subprocess.Popen(  # noqa: S603  # this Python, with a folder of ours
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
            pass_fds=(lock,), start_new_session=True,
        )  # fmt: skip
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(lock)  # the guardian holds it as well
    assert process.stdin is not None
    try:
        yield folder
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS + LONGEST_SECONDS + 5)


def mark_of(folder: Path) -> dict[str, str]:
    """The variable by which a process belongs to a guarded folder."""
    return {MARK: str(folder)}


def remove_abandoned(place: Path) -> None:
    """End and remove what was left in a place by a driver of this user's whose guardian is gone too."""
    with contextlib.suppress(OSError):
        for folder in place.glob(f"{PREFIX}????"):
            if (lock := _locked(folder)) is not None:
                end_processes(folder)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def end_processes(folder: Path) -> None:
    """Tell every process that belongs to a folder to end, and after a while kill it."""
    started = time.monotonic()
    told: set[int] = set()
    while (left := _processes(folder)) and time.monotonic() - started < LONGEST_SECONDS:
        late = time.monotonic() - started > GRACE_SECONDS
        for number, handle in left.items():
            if late or number not in told:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL if late else signal.SIGTERM)
            told.add(number)
            os.close(handle)
        time.sleep(0.05)


def _processes(folder: Path) -> dict[int, int]:
    """Handles of this user's processes that belong to a folder, by number; they stay theirs when a number is given again."""
    wanted, found = f"{MARK}={folder}".encode(), {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # another user's, or it has just ended
            handle = os.pidfd_open(int(name))
            try:
                if wanted in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                    found[int(name)] = os.dup(handle)
            finally:
                os.close(handle)
    return found


def _new_folder(place: Path) -> tuple[Path, int]:
    """A new folder, and its lock; where another start took it for an abandoned one before it was locked, another folder."""
    while True:
        folder = place / f"{PREFIX}{secrets.token_hex(2)}"
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            folder.mkdir(mode=0o700)
            if (lock := _locked(folder)) is not None:
                return folder, lock


def _locked(folder: Path) -> int | None:
    """A descriptor that holds a folder's lock; None where another process does, or the folder has just been removed.

    None too where it is another account's or a link: the folder that is looked at is the one in which the lock is made.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(handle).st_uid != os.getuid():
            return None
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=handle)
    finally:
        os.close(handle)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink:
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _wait_for_end(driver: int) -> None:
    """Return when the pipe is closed or the driver gone: a process that it has forked may have the pipe's end as well."""
    watched = [sys.stdin.fileno()]
    if hasattr(os, "pidfd_open"):
        try:
            watched.append(os.pidfd_open(driver))
        except ProcessLookupError:
            return
        except OSError:  # an old kernel
            pass
    if os.getppid() == driver:
        select.select(watched, [], [])


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _wait_for_end(int(sys.argv[2]))
    end_processes(Path(sys.argv[1]))
    shutil.rmtree(sys.argv[1], ignore_errors=True)
