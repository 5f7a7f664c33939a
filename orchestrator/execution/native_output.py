"""What libraries in C++ say on standard error goes to a file: Ray's says there what it waits for, in lines for its makers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nrtune.orchestrator.lifecycle.terminal import Screen, encoding_of
from nrtune.trainables.core.inside import regular

RAY_LOG = "ray.log"
"""Of a campaign's folder, while something is in it."""

RAY_LOGS = "ray_logs"
"""Of a campaign's folder, once Ray has died under it: the logs of Ray's processes."""


@contextmanager
def native_output_to(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Append to a file what is written to file descriptor 2, but by Python: that goes where it went.

    A file with nothing in it is removed at the end; say: told of one to which something was written.
    """
    sys.stderr.flush()
    terminal, before = os.dup(2), sys.stderr
    log = regular(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if _descriptor(before) == 2:  # a notebook's, and pytest's, writes elsewhere
        sys.stderr = Screen(
            os.fdopen(terminal, "wb", 0, closefd=False), encoding_of(before), vital=False, line_buffering=True,
            write_through=True,
        )  # fmt: skip
    size = os.fstat(log).st_size
    os.dup2(log, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = before
        os.dup2(terminal, 2)
        os.close(terminal)
        grown = os.fstat(log).st_size > size
        os.close(log)
        if grown:
            say(f"Ray's own messages are in {path}")
        elif not size:
            path.unlink(missing_ok=True)


def _descriptor(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined,no-any-return]
    except (AttributeError, OSError, ValueError):  # no file
        return None
