"""Second chances: which failures are tried again, how often and with what."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

from nrtune.analysis.store.records import Proposal
from nrtune.orchestrator.lifecycle.faults import OOM, Failure

MOST_RESTARTS = 3
"""So often a trial goes on from its checkpoint after its worker or its node was lost, without getting any further; then
it has failed, or, where that was the environment's fault, waits for the next start."""

PAUSE = 2.0
"""Seconds before the first restart of a trial, twice as many before each further one: what failed may be gone by then."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempt:
    """One way to run a trial: the first, or what follows a failure.

    alone: nothing else runs on its GPU, or, without GPUs, on its node. micro_batches: parts of a batch whose gradients
    are added up before a step.
    """

    number: int = 1
    alone: bool = False
    micro_batches: int = 1


class Retries:
    """Trials that wait for another attempt, by what their failures allow."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, Proposal]] = []
        self._attempts: dict[str, Attempt] = {}
        self._restarts: Counter[str] = Counter()
        self._furthest: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def attempt(self, fingerprint: str) -> Attempt:
        """How a trial runs, or will run next."""
        return self._attempts.get(fingerprint, Attempt())

    def pop(self) -> Proposal | None:
        """The trial that has waited longest of those that may run again; None where there is none."""
        now = time.monotonic()
        for place, (not_before, proposal) in enumerate(self._waiting):
            if not_before <= now:
                del self._waiting[place]
                return proposal
        return None

    def again(self, proposal: Proposal, failure: Failure, epoch: int, *, shares: bool) -> str | None:
        """Put a trial that failed after an epoch into the queue and say how it goes on; None where it has had its chances.

        shares: whether others run on the same GPU or node; where none do, there is no running alone.
        """
        now = self.attempt(proposal.fingerprint)
        following, pause = dataclasses.replace(now, number=now.number + 1), 0.0
        if failure.failure_class == OOM:
            if shares and not now.alone:
                following, said = dataclasses.replace(following, alone=True), "runs again, alone"
            elif now.micro_batches == 1:
                following, said = dataclasses.replace(following, micro_batches=2), "runs again with half batches"
            else:
                return None
        elif failure.restartable:
            if epoch > self._furthest.get(proposal.fingerprint, -1):
                self._furthest[proposal.fingerprint] = epoch
                self._restarts[proposal.fingerprint] = 0
            self._restarts[proposal.fingerprint] += 1
            if self._restarts[proposal.fingerprint] > MOST_RESTARTS:
                return None
            pause = PAUSE * 2 ** (self._restarts[proposal.fingerprint] - 1)
            said = "goes on from its checkpoint"
        else:
            return None
        self._attempts[proposal.fingerprint] = following
        self._waiting.append((time.monotonic() + pause, proposal))
        return said
