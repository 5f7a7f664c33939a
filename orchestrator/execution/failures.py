"""What an exception says of a trial, raised in its own code or, where its worker died, by Ray."""

from __future__ import annotations

import errno
import re
import traceback
from pathlib import Path

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
    DISK,
    DIVERGED,
    IMPORT,
    INVALID,
    LOST_NODE,
    OOM,
    TIMED_OUT,
    UNREADABLE,
    Failure,
    storage_fault,
)
from nrtune.trainables.core.errors import one_line
from nrtune.trainables.core.registry import plugin_folders

MESSAGE_LENGTH = 500
TRACEBACK_LENGTH = 100_000
"""Characters: a message may hold all of the data that were wrong."""
_NODE = r"\bnode\b.*(died|dead|terminated|was lost|preempt|unexpectedly shut down)"
_MEMORY = r"out of memory|low on memory"
_IMPORT = r"\b(ModuleNotFoundError|ImportError): .*"
"""In what Ray says of a worker whose trainable could not be loaded."""

_WORKER_DIED = (RayActorError, WorkerCrashedError, ObjectLostError, LocalRayletDiedError)


def classify(error: BaseException) -> Failure:
    """Return the failure that an exception of a trial stands for, raised in its code or, where its worker died, by Ray."""
    message = one_line(error, MESSAGE_LENGTH)
    name = type(error).__name__
    no_memory = name in ("OutOfMemoryError", "MemoryError") or getattr(error, "errno", None) == errno.ENOMEM
    if no_memory or re.search(_MEMORY, message, re.IGNORECASE):
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
    if isinstance(error, OutOfDiskError) or storage_fault(error) is not None:
        return Failure(DISK, message, restartable=True)
    if isinstance(error, ImportError):
        return Failure(IMPORT, f"{name}: {message}", restartable=True)
    died = isinstance(error, _WORKER_DIED)
    if died and (found := re.search(_IMPORT, str(error))):
        return Failure(IMPORT, found[0][:MESSAGE_LENGTH], restartable=True)
    if isinstance(error, OSError):
        return Failure(UNREADABLE, f"{name}: {message}", restartable=True)
    # A worker that was killed says nothing about the trial.
    return Failure(CRASHED, f"{name}: {message}" if message else name, died)


def traceback_of(error: BaseException) -> str:
    """An exception as Python prints it, its end if it is long; where a plug-in's lines are among it, of these alone."""
    told = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = told
    folders = [folder.resolve() for folder in plugin_folders()]
    while part is not None:
        own = [frame for frame in part.stack if any(Path(frame.filename).is_relative_to(folder) for folder in folders)]
        if own:
            part.stack = traceback.StackSummary.from_list(own)
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    return "".join(told.format())[-TRACEBACK_LENGTH:]
