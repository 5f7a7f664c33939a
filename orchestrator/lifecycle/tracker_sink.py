"""Keeps the tracker up to date: it only shows what the records hold, so no trial waits for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from nrtune.analysis.store.records import Proposal, TrialRecord, read_references
from nrtune.analysis.wording import count
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.sinks import Sink
from nrtune.orchestrator.lifecycle.trial import History, LiveTrial
from nrtune.orchestrator.search.proposals import Evaluate
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.tracking.publisher import Publisher, Write
from nrtune.orchestrator.tracking.tracker import Tracker
from nrtune.trainables.core.files import BEST, predictions_file

PATIENCE_SECONDS = {"interrupted": 30.0, "finished": 120.0}
"""How long a search that has ended waits for one write to the tracker: what is missing can be written later."""

LOG_SECONDS = 5.0
"""A trial's epochs go to the tracker at most so often, together: with MLflow that costs a quarter of one call each."""


class TrackerSink(Sink):
    """Writes to the tracker, in the publisher's thread, what becomes of trials.

    open_tracker: called in that thread, and again where a write failed. tags_of: what a trial's run is tagged with. say: told
    a sentence when the tracker, by its name for people, goes and comes; show: told what it lacks, for as long as it does.
    again: the command that writes what it lacks. meanwhile: what goes on without it.
    """

    def __init__(
        self,
        ledger: Ledger,
        open_tracker: Callable[[], Tracker],
        tags_of: Callable[[Proposal], dict[str, str]],
        evaluate: Evaluate,
        *,
        say: Callable[[str], None],
        show: Callable[[str], None],
        name: str,
        again: str,
        meanwhile: str = "the search goes on",
    ) -> None:
        self.ledger, self.tags_of, self.evaluate = ledger, tags_of, evaluate
        self._open_tracker, self._opened = open_tracker, None
        self._say, self._name, self._again = say, name, again
        self._logged: dict[str, float] = {}  # of what runs, by fingerprint, when its epochs were written last
        self._files_said = False
        self._show, self._standing = show, ""
        self._publisher = Publisher(self, say, self._stand, name, meanwhile)

    _opened: Tracker | None

    def open(self) -> None:
        """Begin to open the tracker: that takes seconds, which Ray's start takes as well. What it lacks is written then."""
        self._publisher.put(lambda: self._tracker)

    def started(self, trial: LiveTrial) -> None:
        """Open the trial's run."""
        proposal = trial.proposal
        self._logged[proposal.fingerprint] = time.monotonic()
        self._publisher.put(lambda: self._tracker.start(proposal, self.tags_of(proposal)), proposal.name)

    def epoch_ended(self, trial: LiveTrial, message: EpochEnded) -> None:
        """Write the epochs that the run lacks, now and then."""
        if time.monotonic() - self._logged[trial.proposal.fingerprint] > LOG_SECONDS:
            self._log(trial)

    def suspended(self, trial: LiveTrial, following: str | None) -> None:
        """Write the epochs that the run lacks, and that it does not run."""
        self._log(trial)
        proposal = trial.proposal
        del self._logged[proposal.fingerprint]
        self._publisher.put(lambda: self._tracker.interrupt([proposal.fingerprint]), proposal.name)

    def ended(self, record: TrialRecord, history: History) -> None:
        """Bring the trial's run to its end."""
        self._logged.pop(record.fingerprint, None)
        self._publisher.put(lambda: self._publish(record, history), record.name)

    def keep_models(self, fingerprints: Iterable[str]) -> None:
        """Log checkpoints that stay to their runs."""
        records = self.ledger.everything()
        for fingerprint in fingerprints:
            path = self.ledger.trial_folder(fingerprint) / BEST
            if path.exists():
                self._publisher.put(partial(self._log_model, records[fingerprint], path), records[fingerprint].name)

    def close(self, state: str) -> None:
        """Write all that was missed, and how the campaign ended: finished or interrupted. Say what is missing all the same."""
        for sentence in self.bring_up_to_date(state, PATIENCE_SECONDS[state]):
            self._say(f"{sentence}; write what is missing with: {self._again}")

    def bring_up_to_date(self, state: str, patience: float) -> list[str]:
        """The same with a patience of one's own, seconds a write; returns what is missing and why, a sentence each."""
        ended = Counter(f"trials/{record.status}" for record in self.ledger.records.values())
        ended.update(f"replicates/{record.status}" for record in self.ledger.replicates.values())
        counts = {name: float(number) for name, number in ended.items()}
        self._publisher.close(lambda: self._tracker.close(state, counts), patience)
        return self._lacking()

    def _lacking(self) -> list[str]:
        records, tracker, faults = self.ledger.everything(), self._opened, dict(self._publisher.faults)
        lacking = [one for one in records if tracker is None or not tracker.is_closed(one)]
        sentences = []
        if why := self._publisher.away or next(iter(faults.values()), ""):
            what = "the campaign's end"
            if lacking:
                what = f"{len(lacking)} of {count(len(records), 'trial')}"
            sentences.append(f"{self._name} lacks {what} ({why})")
        if tracker is not None and (without := dict(tracker.without_files)):
            why = next(iter(without.values()))
            sentences.append(f"{self._name} lacks the files of {count(len(without), 'trial')} ({why})")
        return sentences

    def _log(self, trial: LiveTrial) -> None:
        proposal, history = trial.proposal, tuple(trial.history)
        self._logged[proposal.fingerprint] = time.monotonic()

        def write() -> None:
            self._open_run(proposal)
            self._tracker.log_history(proposal.fingerprint, history)

        self._publisher.put(write, proposal.name)

    # What follows runs in the publisher's thread.

    def reopen(self) -> None:
        """Open the tracker again, as it is now. What is raised leaves the one that was open."""
        self._opened = self._open_tracker()

    def missing(self) -> Iterator[tuple[Write, str]]:
        """What the records have and the tracker has not, after a crash or while it did not answer."""
        yield (
            lambda: self._tracker.interrupt([one for one in self._tracker.unfinished() if one not in self._logged]),
            "",
        )
        yield lambda: self._tracker.log_references(read_references(self.ledger.folder)), ""
        for record in list(self.ledger.everything().values()):
            if not self._tracker.is_closed(record.fingerprint):
                yield partial(self._publish, record), record.name
        records = self.ledger.everything()
        for fingerprint in self._tracker.without_files.keys() & records.keys():  # a copy's trials may be there as well
            yield partial(self._store_files, records[fingerprint]), records[fingerprint].name

    @property
    def _tracker(self) -> Tracker:
        if self._opened is None:
            self._opened = self._open_tracker()
        return self._opened

    def _log_model(self, record: TrialRecord, path: Path) -> None:
        self._tracker.log_model(record.fingerprint, path)
        self._say_files()

    def _publish(self, record: TrialRecord, history: History = ()) -> None:
        """Bring a trial's run to its end, whatever the tracker has of it already."""
        if self._tracker.is_closed(record.fingerprint):
            return
        self._open_run(record.proposal)
        history = history or self.ledger.history(record.fingerprint)
        self._tracker.finish(record, history, self._files(record), self.evaluate(record))
        self._say_files()

    def _store_files(self, record: TrialRecord) -> None:
        self._tracker.store_files(record.fingerprint, self._files(record))

    def _files(self, record: TrialRecord) -> list[Path]:
        return sorted(self.ledger.trial_folder(record.fingerprint).glob(predictions_file("*")))

    def _stand(self, text: str) -> None:
        self._standing = text
        files = f"{self._name} can't store files" if self._files_said else ""
        self._show("; ".join(filter(None, (text, files))))

    def _say_files(self) -> None:
        without = self._tracker.without_files
        if without and not self._files_said:
            self._files_said = True
            self._stand(self._standing)
            self._say(
                f"{self._name} can't store files ({next(iter(without.values()))}); metrics, tags and the ends of runs are"
                " written all the same, and the files are in the campaign's folder"
            )

    def _open_run(self, proposal: Proposal) -> None:
        """Open a trial's run now if the tracker was away when the trial began."""
        if not self._tracker.has_run(proposal.fingerprint):
            self._tracker.start(proposal, self.tags_of(proposal))
