"""A tracker shows what a campaign's records hold: a run a trial, under a run of the campaign. One file each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.orchestrator.search.proposals import ObjectiveValues
from nrtune.trainables.core.registry import ClassRegistry


class Tracker:
    """The runs of one campaign, written by the driver alone.

    Every method may be repeated after a crash without doubling anything; a run that was closed stays closed. Whatever is
    raised means that the tracker can't be reached now: it is tried again later, from the records. What a tracker has no use
    for, it leaves as it is here.
    """

    @classmethod
    def check(cls, uri: str) -> None:
        """See whether there is a store at a URI. Raises UserError where there is none."""

    @classmethod
    def open(cls, uri: str | None, folder: Path, manifest: Mapping[str, Any], parameters: Mapping[str, Any]) -> Self:
        """Open the runs of the campaign in a folder, made now if there are none; parameters are the campaign's own.

        uri: None for a store in the folder. Raises UserError where it can't be opened.
        """
        raise NotImplementedError

    def start(self, proposal: Proposal, tags: Mapping[str, str]) -> None:
        """Open the trial's run, or take up the one that it had before an interruption."""
        raise NotImplementedError

    def log_history(self, fingerprint: str, history: Iterable[Mapping[str, float]]) -> None:
        """Log epochs' metrics, each with its `epoch` as the step; epochs that are there already are skipped."""

    def finish(
        self,
        record: TrialRecord,
        history: Iterable[Mapping[str, float]],
        artifacts: Sequence[Path],
        objective: ObjectiveValues | None,
    ) -> None:
        """Write what is missing of a trial's epochs, its final metrics, tags and artifacts, and close its run."""
        raise NotImplementedError

    def log_model(self, fingerprint: str, path: Path) -> None:
        """Log the checkpoint of a trial that is kept, once."""

    def log_references(self, references: Mapping[str, Mapping[str, float]]) -> None:
        """Log the metrics of non-neural baselines, by their names, onto the campaign's own run, once."""

    def has_run(self, fingerprint: str) -> bool:
        """Whether the trial has a run, open or closed."""
        raise NotImplementedError

    def is_closed(self, fingerprint: str) -> bool:
        """Whether the trial's run was closed with its end written."""
        raise NotImplementedError

    def interrupt(self, fingerprints: Iterable[str]) -> None:
        """Mark runs whose trials were interrupted: they are not running, and will be taken up again."""

    def unfinished(self) -> list[str]:
        """Fingerprints of runs that are shown as running, as they were found when this was opened."""
        return []

    def close(self, state: str, summary: Mapping[str, float]) -> None:
        """Close the campaign's run: state finished or interrupted, and counts of trials by status."""


TRACKERS: ClassRegistry[Tracker] = ClassRegistry("nrtune.orchestrator.tracking.trackers", "tracker", Tracker)
