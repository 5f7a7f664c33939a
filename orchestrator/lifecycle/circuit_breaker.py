"""Families whose trials all fail are asked no more; where the environment fails them, nothing is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from nrtune.analysis.store.records import FAILED, TrialRecord
from nrtune.orchestrator.lifecycle.faults import ENVIRONMENT, LOST_NODE, Failure
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.sinks import Sink
from nrtune.orchestrator.lifecycle.trial import History, LiveTrial

TRIPPED_BY = 3
"""A family is asked no more when so many of its trials have ended since the start, and all failed. What goes on after an
interruption is no new start, but for families that were asked no more: their cause may have been mended."""

STOPPED_BY = 3
"""So many failures of the environment's in a row, whichever trials they hit, stop the search."""


class EnvironmentBroken(BaseException):
    """Nothing can be trained before somebody mends what this says; Ray Tune lets it through, as it does Ctrl-C."""


class EnvironmentBreaker(Sink):
    """Stops a search where one trial after another fails for what is not theirs: each further one would as well.

    A lost node does not count: a cluster replaces it, and as many trials fail with it at once as it had.
    """

    def __init__(self) -> None:
        self._in_a_row: list[Failure] = []
        self._furthest: Counter[str] = Counter()

    def epoch_ended(self, trial: LiveTrial, message: EpochEnded) -> None:
        """Something can be trained; where an attempt goes on from its checkpoint, its first message proves nothing."""
        if message.epoch > self._furthest[trial.proposal.fingerprint]:
            self._furthest[trial.proposal.fingerprint] = message.epoch
            self._in_a_row.clear()

    def failed(self, trial: LiveTrial, said: str) -> None:
        """Count the environment's failures; another kind says that one gets as far as that."""
        failure = trial.failure
        if failure is None or failure.failure_class == LOST_NODE:
            return
        if failure.is_environments:
            self._in_a_row.append(failure)
        else:
            self._in_a_row.clear()

    def leave_if_broken(self) -> None:
        """Raise EnvironmentBroken where as many as that have failed in a row."""
        if len(self._in_a_row) >= STOPPED_BY:
            raise EnvironmentBroken(
                f"{STOPPED_BY} trials or attempts in a row failed for what is not theirs ({self._in_a_row[-1].message});"
                " nothing is lost: mend that, and start the same command again"
            )


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
        """Count a trial that has ended; what the environment did is not its family's fault."""
        self._count(record)

    def _count(self, record: TrialRecord) -> None:
        if record.failure_class in ENVIRONMENT:
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
