"""Why a trial failed: a class and one line, and whose fault that is.

Its configuration's (DIVERGED, OOM, TIMED_OUT, INVALID), the environment's, or the program's (CRASHED), a plug-in's included.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

OOM, DIVERGED, TIMED_OUT, CRASHED, LOST_NODE, INVALID = (
    "oom",
    "diverged",
    "timed_out",
    "crashed",
    "lost_node",
    "invalid",
)
DISK, UNREADABLE, IMPORT = "disk", "unreadable", "import"

ENVIRONMENT = frozenset({LOST_NODE, DISK, UNREADABLE, IMPORT})
"""What no trial can do anything about, and what ends none for good: a disk, a node, a file or a module that isn't there."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_STORAGE = (*_FULL, errno.EROFS, errno.EIO, errno.ESTALE)
_PERMISSION = (errno.EACCES, errno.EPERM)


class Failure(NamedTuple):
    """A class of the list above and what was said. restartable: it was not the trial's doing, which may go on elsewhere."""

    failure_class: str
    message: str
    restartable: bool = False

    @property
    def is_environments(self) -> bool:
        """Whether the trial has nothing to do with it."""
        return self.failure_class in ENVIRONMENT


class TrialTimeout(RuntimeError):
    """A trial ran past its own time limit."""


def storage_fault(error: BaseException) -> str | None:
    """What a full disk, or one that can't be written, says; None for another error. Ray Tune keeps the text alone."""
    return _said(error, _STORAGE)


def folder_fault(error: BaseException, folder: Path) -> str | None:
    """What is wrong with a folder that can't be written, and what to do about it; None for an error that is none of its own."""
    if (fault := storage_fault(error)) is not None:
        return f"{fault}: make room" if fault in map(os.strerror, _FULL) else f"{fault}: mend the disk or its mount"
    # Only where the path is told that may not be written: any other file may be refused as well.
    if str(folder) in str(error) and (fault := _said(error, _PERMISSION)) is not None:
        return f"{fault}: mend its permissions (chmod)"
    return None


def _said(error: BaseException, codes: Sequence[int]) -> str | None:
    found = [os.strerror(code) for code in codes if getattr(error, "errno", None) == code]
    found += [os.strerror(code) for code in codes if f"] {os.strerror(code)}" in str(error)]
    return found[0] if found else None
