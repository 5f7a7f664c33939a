"""No tracker for now: `nrtune track` writes all of a campaign from its records, once it has ended."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.orchestrator.search.proposals import ObjectiveValues
from nrtune.orchestrator.tracking.tracker import Tracker

VARIABLE = "NRTUNE_TRACK_AFTERWARDS"
"""Set to 1 where a campaign's own database would lie on a network's file system, on which SQLite's locks may fail or hang."""


def is_deferred(name: str, own: str, uri: str | None) -> bool:
    """Whether a tracker is to be written afterwards: the database in the campaign's folder alone, which `own` has."""
    return name == own and uri is None and os.environ.get(VARIABLE) == "1"


class DeferredTracker(Tracker):
    """Has everything, and writes nothing."""

    @classmethod
    def open(cls, uri: str | None, folder: Path, manifest: Mapping[str, Any], parameters: Mapping[str, Any]) -> Self:
        """Nothing is there to be opened."""
        return cls()

    def start(self, proposal: Proposal, tags: Mapping[str, str]) -> None:
        """Nothing."""

    def finish(
        self,
        record: TrialRecord,
        history: Iterable[Mapping[str, float]],
        artifacts: Sequence[Path],
        objective: ObjectiveValues | None,
    ) -> None:
        """Nothing."""

    def has_run(self, fingerprint: str) -> bool:
        """Always: nothing is to be written now."""
        return True

    def is_closed(self, fingerprint: str) -> bool:
        """Always: nothing is to be written now."""
        return True

    def interrupt(self, fingerprints: Iterable[str]) -> None:
        """Nothing."""
