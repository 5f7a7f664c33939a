"""Families whose trials all fail are asked no more."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from nrtune.analysis.store.records import FAILED, TrialRecord
from nrtune.orchestrator.lifecycle.faults import LOST_NODE
from nrtune.orchestrator.lifecycle.sinks import Sink
from nrtune.orchestrator.lifecycle.trial import History

TRIPPED_BY = 3
"""A family is asked no more when so many of its trials have ended since the start, and all failed. What goes on after an
interruption is no new start, but for families that were asked no more: their cause may have been mended."""


class CircuitBreaker(Sink):
    """Counts how the trials of each family have ended since the start. before: those that ended before an interruption."""

    def __init__(self, before: Iterable[TrialRecord] = ()) -> None:
        self._ended: Counter[str] = Counter()
        self._failed: defaultdict[str, list[TrialRecord]] = defaultdict(list)
        for record in before:
            self._count(record)
        for family in [family for family in self._failed if self.tripped(family)]:
            del self._ended[family], self._failed[family]

    def ended(self, record: TrialRecord, history: History) -> None:
        """Count a trial that has ended; that its node was lost is not its family's fault."""
        self._count(record)

    def _count(self, record: TrialRecord) -> None:
        if record.failure_class == LOST_NODE:
            return
        self._ended[record.family] += 1
        if record.status == FAILED:
            self._failed[record.family].append(record)

    def tripped(self, family: str) -> str | None:
        """Why a family is asked no more, in one sentence; None where it is."""
        failed = self._failed[family]
        if len(failed) < TRIPPED_BY or len(failed) < self._ended[family]:
            return None
        classes = Counter(str(record.failure_class) for record in failed)
        counts = ", ".join(f"{count} {name}" for name, count in classes.items())
        return (
            f"{family} is asked no more: all {len(failed)} of its trials failed ({counts}; last: {failed[-1].failure})"
        )
