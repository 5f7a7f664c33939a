"""Keeps the tracker up to date: it only shows what the records hold, so no trial waits for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path

from nrtune.analysis.store.records import Proposal, TrialRecord, read_references
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.sinks import Sink
from nrtune.orchestrator.lifecycle.trial import History, LiveTrial
from nrtune.orchestrator.search.proposals import Evaluate
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.tracking.publisher import Publisher
from nrtune.orchestrator.tracking.tracker import Tracker
from nrtune.trainables.core.files import BEST, predictions_file

INTERRUPTED_SECONDS = 30.0
"""An interrupted search waits no longer for one write to the tracker: what is missing, the next start writes."""

LOG_SECONDS = 5.0
"""A trial's epochs go to the tracker at most so often, together: with MLflow that costs a quarter of one call each."""


class TrackerSink(Sink):
    """Writes to the tracker, in the publisher's thread, what becomes of trials.

    open_tracker: called in that thread, and again where it failed. tags_of: what a trial's run is tagged with. say: told when
    the tracker, by its name for people, goes and comes.
    """

    def __init__(
        self,
        ledger: Ledger,
        open_tracker: Callable[[], Tracker],
        tags_of: Callable[[Proposal], dict[str, str]],
        evaluate: Evaluate,
        say: Callable[[str], None],
        name: str,
    ) -> None:
        self.ledger, self.tags_of, self.evaluate = ledger, tags_of, evaluate
        self._open_tracker = open_tracker
        self._logged: dict[str, float] = {}  # by fingerprint, when its epochs were written last
        self._publisher = Publisher(self._publish_missing, say, name)

    def open(self) -> None:
        """Begin to open the tracker: that takes seconds, which Ray's start takes as well."""
        self._publisher.put(lambda: self._tracker)

    def reconcile(self) -> None:
        """After a crash: close what the records say has ended, and mark what was interrupted."""
        self._publisher.put(lambda: self._tracker.interrupt(self._tracker.unfinished()))
        self._publisher.put(self._publish_missing)

    def started(self, trial: LiveTrial) -> None:
        """Open the trial's run."""
        proposal = trial.proposal
        self._logged[proposal.fingerprint] = time.monotonic()
        self._publisher.put(lambda: self._tracker.start(proposal, self.tags_of(proposal)))

    def epoch_ended(self, trial: LiveTrial, message: EpochEnded) -> None:
        """Write the epochs that the run lacks, now and then."""
        if time.monotonic() - self._logged[trial.proposal.fingerprint] > LOG_SECONDS:
            self._log(trial)

    def suspended(self, trial: LiveTrial, following: str | None) -> None:
        """Write the epochs that the run lacks, and that it does not run."""
        self._log(trial)
        self._publisher.put(lambda: self._tracker.interrupt([trial.proposal.fingerprint]))

    def ended(self, record: TrialRecord, history: History) -> None:
        """Bring the trial's run to its end."""
        self._publisher.put(lambda: self._publish(record, history))

    def keep_models(self, fingerprints: Iterable[str]) -> None:
        """Log checkpoints that stay to their runs."""
        for fingerprint in fingerprints:
            path = self.ledger.trial_folder(fingerprint) / BEST
            if path.exists():
                self._publisher.put(partial(self._log_model, fingerprint, path))

    def close(self, state: str) -> None:
        """Write all that was missed, and how the campaign ended: finished or interrupted."""
        ended = Counter(f"trials/{record.status}" for record in self.ledger.records.values())
        ended.update(f"replicates/{record.status}" for record in self.ledger.replicates.values())
        counts = {name: float(count) for name, count in ended.items()}
        patience = INTERRUPTED_SECONDS if state == "interrupted" else None
        self._publisher.close(lambda: self._tracker.close(state, counts), patience)

    def _log(self, trial: LiveTrial) -> None:
        proposal, history = trial.proposal, tuple(trial.history)
        self._logged[proposal.fingerprint] = time.monotonic()

        def write() -> None:
            self._open_run(proposal)
            self._tracker.log_history(proposal.fingerprint, history)

        self._publisher.put(write)

    # What follows runs in the publisher's thread.

    @cached_property
    def _tracker(self) -> Tracker:
        return self._open_tracker()

    def _log_model(self, fingerprint: str, path: Path) -> None:
        self._tracker.log_model(fingerprint, path)

    def _publish_missing(self) -> None:
        """Write what the records have and the tracker has not, after a crash or while it did not answer."""
        self._tracker.log_references(read_references(self.ledger.folder))
        for record in self.ledger.everything().values():
            self._publish(record)

    def _publish(self, record: TrialRecord, history: History = ()) -> None:
        """Bring a trial's run to its end, whatever the tracker has of it already."""
        if self._tracker.is_closed(record.fingerprint):
            return
        folder = self.ledger.trial_folder(record.fingerprint)
        self._open_run(record.proposal)
        history = history or self.ledger.history(record.fingerprint)
        self._tracker.finish(record, history, sorted(folder.glob(predictions_file("*"))), self.evaluate(record))

    def _open_run(self, proposal: Proposal) -> None:
        """Open a trial's run now if the tracker was away when the trial began."""
        if not self._tracker.has_run(proposal.fingerprint):
            self._tracker.start(proposal, self.tags_of(proposal))
