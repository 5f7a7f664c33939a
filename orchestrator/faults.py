"""Why a trial failed: a class and one line, from what was raised where."""

from __future__ import annotations

import re
from typing import NamedTuple

from trainables.errors import one_line

OOM, DIVERGED, TIMED_OUT, CRASHED, LOST_NODE, INVALID = (
    "oom",
    "diverged",
    "timed_out",
    "crashed",
    "lost_node",
    "invalid",
)
MESSAGE_LENGTH = 500


class Failure(NamedTuple):
    """A class of the list above and what was said."""

    failure_class: str
    message: str


class TrialTimeout(RuntimeError):
    """A trial ran past its own time limit."""


def classify(error: BaseException) -> Failure:
    """Return the failure that an exception of a trial stands for."""
    message = one_line(error, MESSAGE_LENGTH)
    name = type(error).__name__
    if name in ("OutOfMemoryError", "MemoryError") or "out of memory" in message.lower():
        return Failure(OOM, message)
    if name == "Diverged":
        return Failure(DIVERGED, message)
    if name == "TrialTimeout":
        return Failure(TIMED_OUT, message)
    if name == "UserError":
        return Failure(INVALID, message)
    if name == "NodeDiedError" or re.search(r"node .*(died|dead|terminated|was lost)", message, re.IGNORECASE):
        return Failure(LOST_NODE, message)
    return Failure(CRASHED, f"{name}: {message}" if message else name)
