"""Why a trial failed: a class and one line."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

OOM, DIVERGED, TIMED_OUT, CRASHED, LOST_NODE, INVALID = (
    "oom",
    "diverged",
    "timed_out",
    "crashed",
    "lost_node",
    "invalid",
)

_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


class Failure(NamedTuple):
    """A class of the list above and what was said. restartable: it was not the trial's doing, which may go on elsewhere."""

    failure_class: str
    message: str
    restartable: bool = False


class TrialTimeout(RuntimeError):
    """A trial ran past its own time limit."""


def storage_fault(error: BaseException) -> str | None:
    """What a full disk, or one that can't be written, says; None for another error. Ray Tune keeps the text alone."""
    found = [os.strerror(code) for code in _STORAGE if getattr(error, "errno", None) == code]
    found += [os.strerror(code) for code in _STORAGE if f"] {os.strerror(code)}" in str(error)]
    return found[0] if found else None
