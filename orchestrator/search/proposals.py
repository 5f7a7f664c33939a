"""What every proposer of a family's trials can do, and the one of given configurations (Optuna's is family_study.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from nrtune.analysis.store.records import Proposal, TrialRecord

ObjectiveValues = float | tuple[float, ...]
"""The value of a search's objective, or of each where there are several."""

Evaluate = Callable[[TrialRecord], ObjectiveValues | None]
"""The objective values of a trial; None where it lacks one of them."""


class Proposer(Protocol):
    """What proposes a family's trials, in a campaign that is opened again after every interruption."""

    name: str

    def reconcile(self, records: Mapping[str, TrialRecord], evaluate: Evaluate) -> None:
        """Learn how the trials of before ended."""

    def interrupted(self) -> list[str]:
        """Fingerprints of trials that will be proposed again."""

    def propose(self, known: Collection[str], reserved: Collection[str] = ()) -> Proposal | None:
        """The next trial whose fingerprint is not in `known`, or None; a new one is not in `reserved` either."""

    def report(self, number: int, epoch: int, value: float) -> None:
        """Learn a running trial's validation metric."""

    def tell(self, record: TrialRecord, objective: ObjectiveValues | None) -> None:
        """Learn how a trial ended."""


class FixedProposals:
    """A family's trials that are known in advance, proposed one after the other; nothing is learned from how they end."""

    def __init__(self, name: str, proposals: Sequence[Proposal]) -> None:
        self.name, self.proposals = name, proposals

    def reconcile(self, records: Mapping[str, TrialRecord], evaluate: Evaluate) -> None:
        """Nothing: what has ended is not proposed again."""

    def interrupted(self) -> list[str]:
        """None in particular: the order is the same after an interruption."""
        return []

    def propose(self, known: Collection[str], reserved: Collection[str] = ()) -> Proposal | None:
        """The first trial that is not in `known`."""
        return next((proposal for proposal in self.proposals if proposal.fingerprint not in known), None)

    def report(self, number: int, epoch: int, value: float) -> None:
        """Nothing."""

    def tell(self, record: TrialRecord, objective: ObjectiveValues | None) -> None:
        """Nothing."""
