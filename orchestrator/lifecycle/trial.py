"""A trial under way, as far as its messages tell."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.orchestrator.lifecycle.faults import Failure
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.retries import Attempt
from nrtune.orchestrator.state.manifest import now

History = Sequence[Mapping[str, float]]
"""The metrics of each epoch by name, from the first on."""


class LiveTrial:
    """A trial that was proposed and has not ended, in one attempt after another.

    epoch: the last of which this attempt has told, or 0. history, metrics, final: as its messages told. held: seconds times
    CPUs and GPUs, of all attempts. shares: whether other trials run on the same GPU or node.
    """

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.started = now()
        self.held = {"cpu": 0.0, "gpu": 0.0}
        self.begin({}, shares=False)

    def begin(self, resources: Mapping[str, float], *, shares: bool) -> None:
        """Begin an attempt; its first message tells of the epochs of those before it, too."""
        self.resources, self.shares = resources, shares
        self.since = time.monotonic()
        self.epoch = 0
        self.pid: int | None = None
        self.history: list[Mapping[str, float]] = []
        self.metrics: Mapping[str, float] | None = None
        self.final = False
        self.failure: Failure | None = None
        self.kernels: Mapping[str, str] = {}

    def hear(self, message: EpochEnded) -> None:
        """Take in an epoch."""
        self.epoch, self.pid = message.epoch, message.pid
        self.history += message.history
        self.metrics, self.final, self.kernels = message.metrics, message.final, message.kernels

    def fail(self, failure: Failure) -> None:
        """Note why the attempt has failed."""
        self.failure = failure

    def stop(self) -> None:
        """End an attempt."""
        seconds = time.monotonic() - self.since
        for name, amount in self.resources.items():
            self.held[name] += amount * seconds
        self.resources = {}

    def record(self, status: str, attempt: Attempt, history: History) -> TrialRecord:
        """How it ended, now."""
        return TrialRecord(
            proposal=self.proposal,
            status=status,
            metrics=self.metrics or {},
            epochs_trained=len(history),
            seconds=round(sum(entry["seconds"] for entry in history), 3),
            started=self.started,
            ended=now(),
            failure_class=self.failure.failure_class if self.failure else None,
            failure=self.failure.message if self.failure else None,
            attempts=attempt.number,
            micro_batches=attempt.micro_batches,
            cpu_seconds=round(self.held["cpu"], 1),
            gpu_seconds=round(self.held["gpu"], 1),
            kernels=self.kernels,
        )
