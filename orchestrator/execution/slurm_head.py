"""Where a Ray is that takes workers of other SLURM jobs: two files in the campaign's folder, for this account alone."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path

from nrtune.trainables.core.files import write_atomically

HEAD_FILE = "head.json"
"""In the job's folder, while a head runs there that takes workers of other jobs: where they find it and its token."""


def write_head(folder: Path, address: str, token: Path) -> None:
    """Tell workers of other jobs where a head is: a file that this account alone can read."""
    text = json.dumps({"address": address, "token": token.name})
    write_atomically(folder / HEAD_FILE, lambda path: write_privately(path, text))


def read_head(folder: Path) -> tuple[str, Path] | None:
    """Address and token's file of the head that is told in a folder; None without one.

    Whoever joins a head runs what that is given. So what another account has put there counts for nothing, and what others may
    write to.
    """
    try:
        told = json.loads(_read_own(folder / HEAD_FILE))
        token = folder / Path(told["token"]).name
        _read_own(token)
        return str(told["address"]), token
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_own(path: Path) -> str:
    """The text of a file of this account that nobody else may write to or read. Raises OSError for another."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid() or found.st_mode & 0o077 or not stat.S_ISREG(found.st_mode):
            raise PermissionError(f"{path} is not this account's alone")
        return file.read()


def forget_head(folder: Path, token: Path) -> None:
    """Tell no more of a head, if it still is the one of a token."""
    with suppress(OSError):
        if (head := read_head(folder)) is not None and head[1] == token:
            (folder / HEAD_FILE).unlink()


def write_privately(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, before anything is in it."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    path.chmod(0o600)
    path.write_text(text)
