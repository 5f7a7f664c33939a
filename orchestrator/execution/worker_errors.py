"""What ended a worker reaches this process's state machine in memory, and by no file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.exceptions import RayActorError, RayTaskError
from ray.tune.experiment import Trial

WorkerErrors = dict[str, RayActorError | RayTaskError]
"""By Ray Tune's name for a trial."""


@contextmanager
def kept_in_memory(errors: WorkerErrors) -> Iterator[None]:
    """Have what ends workers put into `errors` while Ray Tune runs.

    Ray Tune itself writes the exception to `error.pkl`, of its session's folder on this node, from where it has to be unpickled
    again. A cluster's folder may be open to every account of the node: what is found there would be run as this user.
    """
    found = Trial.handle_error

    def handle_error(trial: Any, exc: BaseException | None = None) -> None:
        trial.run_metadata.num_failures += 1
        trial.run_metadata.invalidate_cache()
        if isinstance(exc, (RayActorError, RayTaskError)):
            errors[trial.trial_id] = exc

    Trial.handle_error = handle_error
    try:
        yield
    finally:
        Trial.handle_error = found
