"""Why a trial failed: a class and one line, from what was raised where."""

from __future__ import annotations

import errno
import os
import re
from typing import NamedTuple

from ray.exceptions import (
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfDiskError,
    RayActorError,
    WorkerCrashedError,
)

from nrtune.trainables.core.errors import one_line

OOM, DIVERGED, TIMED_OUT, CRASHED, LOST_NODE, INVALID = (
    "oom",
    "diverged",
    "timed_out",
    "crashed",
    "lost_node",
    "invalid",
)
MESSAGE_LENGTH = 500

_NODE = r"\bnode\b.*(died|dead|terminated|was lost|preempt|unexpectedly shut down)"
_MEMORY = r"out of memory|low on memory"
_WORKER_DIED = (RayActorError, WorkerCrashedError, ObjectLostError, LocalRayletDiedError, OutOfDiskError)
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


def classify(error: BaseException) -> Failure:
    """Return the failure that an exception of a trial stands for, raised in its code or, where its worker died, by Ray."""
    message = one_line(error, MESSAGE_LENGTH)
    name = type(error).__name__
    if name in ("OutOfMemoryError", "MemoryError") or re.search(_MEMORY, message, re.IGNORECASE):
        return Failure(OOM, message)
    if name == "Diverged":
        return Failure(DIVERGED, message)
    if name == "TrialTimeout":
        return Failure(TIMED_OUT, message)
    if name == "UserError":
        return Failure(INVALID, message)
    # An actor is unavailable, not dead, where nothing answers for it any more, its node included.
    if isinstance(error, (NodeDiedError, ActorUnavailableError)) or re.search(_NODE, message, re.IGNORECASE):
        return Failure(LOST_NODE, message, restartable=True)
    # A worker that was killed, or whose disk is full, says nothing about the trial.
    restartable = isinstance(error, _WORKER_DIED) or storage_fault(error) is not None
    return Failure(CRASHED, f"{name}: {message}" if message else name, restartable)
