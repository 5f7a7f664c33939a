"""How long the trials to come will take, going by those that have ended: stopped early, failed or trained to their end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from nrtune.analysis.store.records import FINISHED, Proposal, TrialRecord

CONFIRMING = "confirmation"
"""Where, among the families, trainings with fresh seeds are counted that confirm a search."""


class Underway(NamedTuple):
    """A trial that runs: the row that it counts in, and for how many seconds."""

    row: str
    seconds: float


def row_of(proposal: Proposal, rows: Iterable[str]) -> str:
    """The row in which a trial counts: its family's, or CONFIRMING where that is one."""
    return CONFIRMING if proposal.replicate_of is not None and CONFIRMING in rows else proposal.family


def seconds_of(record: TrialRecord) -> float:
    """How long a trial took, scoring and waiting included; of one that was interrupted at least its epochs."""
    try:
        held = datetime.fromisoformat(record.ended) - datetime.fromisoformat(record.started)
    except ValueError:  # a record that was not made by training here
        return record.seconds
    return max(held.total_seconds(), record.seconds)


class TimeLeft:
    """Adds up what has ended, row by row, and expects the trials to come to be like it.

    wanted: how many trials each row shall have. The mean over all trials of a row that have ended counts, those included that
    were stopped early or failed, as some to come will be; where none has, the mean over all. Trainings that confirm are never
    stopped early: before one has ended they are expected to take as long as trials that finished.
    """

    def __init__(self, wanted: Mapping[str, int], records: Iterable[TrialRecord] = ()) -> None:
        self.wanted = wanted
        self.ended: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._finished: list[float] = []
        for record in records:
            self.add(record)

    def add(self, record: TrialRecord) -> None:
        """Count a trial that has ended."""
        row, seconds = row_of(record.proposal, self.wanted), seconds_of(record)
        self.ended[row] += 1
        self._seconds[row] += seconds
        if record.status == FINISHED:
            self._finished.append(seconds)

    def left(self) -> dict[str, float]:
        """Trials of each row that have not ended; what some families have beyond their number, others lack."""
        missing = {row: float(max(0, n - self.ended[row])) for row, n in self.wanted.items()}
        families = [row for row in self.wanted if row != CONFIRMING]
        total = max(0, sum(self.wanted[row] - self.ended[row] for row in families))
        expected = sum(missing[row] for row in families)
        return {row: n * total / expected if row != CONFIRMING and expected else n for row, n in missing.items()}

    def seconds(self, underway: Sequence[Underway], at_once: int) -> float | None:
        """Seconds until all have ended, so many at once; None as long as nothing tells how long one takes."""
        mean = {row: self._mean(row) for row in self.wanted}
        left = {row: n for row, n in self.left().items() if n}
        if any(mean[row] is None for row in left):
            return None
        expected = {row: float(mean[row] or 0.0) for row in mean}
        work = sum(n * expected[row] for row, n in left.items())
        done = sum(min(one.seconds, expected.get(one.row, 0.0)) for one in underway)
        longest = max((expected.get(one.row, 0.0) - one.seconds for one in underway), default=0.0)
        places = max(1, min(at_once, round(sum(left.values()))))
        return max((work - done) / places, longest, 0.0)

    def _mean(self, row: str) -> float | None:
        if self.ended[row]:
            return self._seconds[row] / self.ended[row]
        if row == CONFIRMING:
            return sum(self._finished) / len(self._finished) if self._finished else None
        others = sum(n for name, n in self.ended.items() if name != CONFIRMING)
        return sum(s for name, s in self._seconds.items() if name != CONFIRMING) / others if others else None


def duration(seconds: float) -> str:
    """About how long: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def pace(elapsed: float, left: float | None, trials_per_hour: float | None) -> str:
    """Seconds that it has run, those that are left, and the rate: `2 min elapsed, about 40 s left, 120 trials/h`."""
    said = [f"{duration(elapsed)} elapsed"]
    said += [f"about {duration(left)} left"] if left else []
    return ", ".join([*said, *([f"{trials_per_hour:.0f} trials/h"] if trials_per_hour else [])])
