"""A tracker shows what a campaign's records hold: a run a trial, under a run of the campaign. One file each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.orchestrator.search.proposals import ObjectiveValues
from nrtune.trainables.core.registry import ClassRegistry


class Tracker:
    """The runs of one campaign, written by the driver alone.

    Every method may be repeated after a crash without doubling anything; a run that was closed stays closed. Where one raises,
    whatever it is, the tracker is opened again and the method called once more; where that raises, too, the run is left alone,
    or the whole tracker if it can't be opened, and tried again later, from the records. What a tracker has no use for, it
    leaves as it is here.

    without_files: by fingerprint, why the files of a run could not be stored that is otherwise as it should be.
    """

    without_files: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def check(cls, uri: str) -> None:
        """See whether a URI can name a store; nothing is asked of it, as it may be away. Raises UserError where it can't."""

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

    def store_files(self, fingerprint: str, artifacts: Sequence[Path]) -> None:
        """Store the files of a run that is among those without; one that can't be stored now stays there."""

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
