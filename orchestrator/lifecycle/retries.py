"""Second chances: which failures are tried again, how often and with what; and families that get no more."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

from nrtune.analysis.store.records import FAILED, TrialRecord
from nrtune.orchestrator.lifecycle.faults import LOST_NODE, OOM, Failure
from nrtune.orchestrator.search.family_study import Proposal

MOST_RESTARTS = 3
"""So often a trial goes on from its checkpoint after its worker or its node was lost, without getting any further; then
it has failed."""

PAUSE = 2.0
"""Seconds before the first restart of a trial, twice as many before each further one: what failed may be gone by then."""

HOPELESS = 3
"""A family is asked no more when so many of its trials have ended since the start, and all failed. What goes on after an
interruption is no new start, but for families that were asked no more: their cause may have been mended."""


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
    """Trials that wait for another attempt, by what their failures allow.

    shared: whether trials share what `alone` would give to one; where they do not, that step is left out.
    """

    def __init__(self, *, shared: bool = True) -> None:
        self.shared = shared
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

    def again(self, proposal: Proposal, failure: Failure, epoch: int) -> str | None:
        """Put a trial that failed after an epoch into the queue and say how it goes on; None where it has had its chances."""
        now = self.attempt(proposal.fingerprint)
        following, pause = dataclasses.replace(now, number=now.number + 1), 0.0
        if failure.failure_class == OOM:
            if self.shared and not now.alone:
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


class Outcomes:
    """How the trials of each family have ended since the start. before: those that ended before an interruption."""

    def __init__(self, before: Iterable[TrialRecord] = ()) -> None:
        self._ended: Counter[str] = Counter()
        self._failed: defaultdict[str, list[TrialRecord]] = defaultdict(list)
        for record in before:
            self.note(record)
        for family in [family for family in self._failed if self.hopeless(family)]:
            del self._ended[family], self._failed[family]

    def note(self, record: TrialRecord) -> None:
        """Count a trial that has ended; that its node was lost is not its family's fault."""
        if record.failure_class == LOST_NODE:
            return
        self._ended[record.family] += 1
        if record.status == FAILED:
            self._failed[record.family].append(record)

    def hopeless(self, family: str) -> str | None:
        """Why a family is asked no more, in one sentence; None where it is."""
        failed = self._failed[family]
        if len(failed) < HOPELESS or len(failed) < self._ended[family]:
            return None
        classes = Counter(str(record.failure_class) for record in failed)
        counts = ", ".join(f"{count} {name}" for name, count in classes.items())
        return (
            f"{family} is asked no more: all {len(failed)} of its trials failed ({counts}; last: {failed[-1].failure})"
        )
