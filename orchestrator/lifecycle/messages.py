"""What a worker tells the driver of a trial: one message a step, under MESSAGE in Ray Tune's result.

Worker and driver share these classes and nothing else of a result: a reader that asks for what is not there is an error of
types, not a default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from nrtune.orchestrator.lifecycle.faults import Failure

MESSAGE = "message"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochEnded:
    """A trial has trained an epoch, or has been taken up after one.

    curve: the validation Spearman after each epoch, from the first on. history: metrics by name of the epochs of which
    this attempt has not told, oldest first; its first message tells of all. metrics: of the best epoch so far, by name,
    undefined ones left out; None where this epoch is not scored. final: whether all epochs are trained. pid: the worker's.
    kernels: what was decided of each kernel of a GPU, by its name.
    """

    curve: tuple[float, ...]
    history: tuple[Mapping[str, float], ...]
    metrics: Mapping[str, float] | None
    final: bool
    pid: int
    kernels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """The last epoch; the first is 1."""
        return len(self.curve)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialFailed:
    """A trial has raised; the worker lives on. epoch: the last of which this attempt has told, or 0."""

    epoch: int
    failure: Failure
    traceback: str


Message = EpochEnded | TrialFailed
