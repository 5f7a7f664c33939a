"""Files that a crash can't spoil: written whole or not at all, or a line at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nrtune.trainables.core.inside import regular

TEST = "test"
"""What predictions are of, beside the variants of benchmarks."""

TRIALS = "trials"
"""In a campaign's folder: what holds the folder of each trial, which has the trial's fingerprint for a name."""

LAST, BEST, HISTORY = "last.pt", "best.pt", "history.json"
"""In the folder of a trial: the checkpoint to go on from, the weights of the best epoch, and every epoch's metrics."""


def predictions_file(of: str) -> str:
    """What a trial or a non-neural baseline predicted, in its folder: a row a sequence of TEST, or a variant of a benchmark."""
    return f"predictions_{of}.parquet"


def cut_torn_line(path: Path) -> None:
    """Cut a last line that a crash left without its end, so that the next one does not run into it."""
    if not path.exists():
        return
    with open(path, "rb+", opener=regular) as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def append_line(path: Path, line: str) -> None:
    """Append a line; when this returns, it is on disk. Where the disk is full, no half line stays for the next to be added to."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with open(path, "a", encoding="utf-8", opener=regular) as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            os.truncate(path, size)  # once it is closed, which writes again what is left of the line
        raise


def write_atomically(path: Path, write: Callable[[Path], object], *, parents: bool = True) -> None:
    """Call `write` with a temporary path beside `path`, sync it to disk and rename it: a crash leaves the old file.

    parents: make the folders above that of the file, too. Where they were there before, a folder that was renamed meanwhile is
    not made again at its old place without.
    """
    path.parent.mkdir(parents=parents, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.unlink(missing_ok=True)  # of a crash; a link of this name would lead elsewhere
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def user_cache() -> Path | None:
    """The user's folder for what can be made again; None for a user without a home."""
    return _of_user("XDG_CACHE_HOME", ".cache")


def user_state() -> Path | None:
    """The user's folder for what nrtune remembers; None for a user without a home."""
    return _of_user("XDG_STATE_HOME", ".local/state")


def _of_user(variable: str, otherwise: str) -> Path | None:
    if os.path.isabs(given := os.environ.get(variable, "")):
        return Path(given) / "nrtune"
    try:
        return Path.home() / otherwise / "nrtune"
    except RuntimeError:
        return None
