"""What an exception says of a trial, raised in its own code or, where its worker died, by Ray."""

from __future__ import annotations

import re

from ray.exceptions import (
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfDiskError,
    RayActorError,
    WorkerCrashedError,
)

from nrtune.orchestrator.lifecycle.faults import (
    CRASHED,
    DIVERGED,
    INVALID,
    LOST_NODE,
    OOM,
    TIMED_OUT,
    Failure,
    storage_fault,
)
from nrtune.trainables.core.errors import one_line

MESSAGE_LENGTH = 500
_NODE = r"\bnode\b.*(died|dead|terminated|was lost|preempt|unexpectedly shut down)"
_MEMORY = r"out of memory|low on memory"
_WORKER_DIED = (RayActorError, WorkerCrashedError, ObjectLostError, LocalRayletDiedError, OutOfDiskError)


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
