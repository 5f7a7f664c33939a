"""Fresh seeds beside a search's own trials, or after them: a proposer, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.orchestrator.search.allocation import Allocation
from nrtune.orchestrator.search.proposals import Evaluate, ObjectiveValues, Proposer


class Replicates:
    """Proposes trainings with fresh seeds, which are no trials of the search: nothing is learned from how they end.

    wanted: what is to be trained now and has not ended, in that order; asked again as trainings end.
    """

    name = "fresh seeds"  # no family can be called so: a module's name has no space

    def __init__(self, wanted: Callable[[], Sequence[Proposal]]) -> None:
        self.wanted = wanted
        self._proposed: set[str] = set()

    def following(self) -> Proposal | None:
        """What would be proposed next; None where all that is wanted runs."""
        return next((one for one in self.wanted() if one.fingerprint not in self._proposed), None)

    def reconcile(self, records: Mapping[str, TrialRecord], evaluate: Evaluate) -> None:
        """Nothing: what has ended is not wanted any more."""

    def interrupted(self) -> list[str]:
        """None in particular: the order is the same after an interruption."""
        return []

    def propose(self, known: Collection[str], reserved: Collection[str] = ()) -> Proposal | None:
        """The next that is wanted, each once."""
        if (found := self.following()) is not None:
            self._proposed.add(found.fingerprint)
        return found

    def report(self, number: int, epoch: int, value: float) -> None:
        """Nothing."""

    def tell(self, record: TrialRecord, objective: ObjectiveValues | None) -> None:
        """Nothing."""


class ReplicatesFirst:
    """Fresh seeds wherever some are wanted, else as another allocation says, if there is one."""

    def __init__(self, replicates: Replicates, others: Allocation | None = None) -> None:
        self.replicates, self.others = replicates, others

    def choose(self, families: Sequence[Proposer], started: Mapping[str, int]) -> Proposer | None:
        """As `Allocation`."""
        own = [family for family in families if family is not self.replicates]
        if len(own) < len(families) and self.replicates.following() is not None:
            return self.replicates
        return None if self.others is None else self.others.choose(own, started)

    def left(self, ended: Mapping[str, int], closed: Iterable[str]) -> int:
        """As `Allocation`, of the other: how many fresh seeds follow is known as they end."""
        return 0 if self.others is None else self.others.left(ended, closed)
