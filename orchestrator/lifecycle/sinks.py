"""Who learns what becomes of trials: the records first, then what follows them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from nrtune.analysis.store.records import FAILED, TrialRecord
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.stopping import Arrivals
from nrtune.orchestrator.lifecycle.trial import History, LiveTrial
from nrtune.orchestrator.search.proposals import Evaluate, Proposer
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.trainables.core.files import LAST

ERROR = "error.txt"


class Sink:
    """What becomes of trials, one call a change; a sink that has nothing to do with one leaves it as it is here."""

    def started(self, trial: LiveTrial) -> None:
        """An attempt has begun."""

    def epoch_ended(self, trial: LiveTrial, message: EpochEnded) -> None:
        """A trial has trained an epoch, or was taken up after one."""

    def failed(self, trial: LiveTrial, said: str) -> None:
        """An attempt has failed, and this is all that was said. Whether the trial runs again is told next."""

    def suspended(self, trial: LiveTrial, following: str | None) -> None:
        """A trial that ran runs no more and has not ended: how it goes on, or None where the next start takes it up."""

    def ended(self, record: TrialRecord, history: History) -> None:
        """A trial has ended."""


class RecordKeeper(Sink):
    """Writes ends into the campaign's records; a trial that is recorded needs its training checkpoint no more."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def failed(self, trial: LiveTrial, said: str) -> None:
        """Keep it beside the trial; the record has the class and a line."""
        folder = self.ledger.trial_folder(trial.proposal.fingerprint)
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            (folder / ERROR).write_text(said, encoding="utf-8", errors="backslashreplace")

    def ended(self, record: TrialRecord, history: History) -> None:
        """Append the record; when this returns, it is on disk."""
        self.ledger.append(record)
        self.forget_checkpoint(record.fingerprint)

    def forget_checkpoint(self, fingerprint: str) -> None:
        """Delete what a training would go on from."""
        (self.ledger.trial_folder(fingerprint) / LAST).unlink(missing_ok=True)


class StoppingKeeper(Sink):
    """Notes the ends of trials where others are compared to them."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals

    def ended(self, record: TrialRecord, history: History) -> None:
        """What failed counts no more. Ray Tune does not ask about a trial that is done as soon as it is taken up.

        Others are not compared to replicates.
        """
        if record.replicate_of is not None:
            return
        if record.status == FAILED:
            self.arrivals.take_back(record.fingerprint)
        else:
            curve = [entry["val/spearman"] for entry in history]
            self.arrivals.arrive(record.fingerprint, curve, epochs=record.config.get("epochs"), protected=True)


class StudyKeeper(Sink):
    """Tells what proposes how its trials fare and end."""

    def __init__(self, proposers: Mapping[str, Proposer], evaluate: Evaluate) -> None:
        self.proposers, self.evaluate = proposers, evaluate

    def reconcile(self, records: Mapping[str, TrialRecord]) -> None:
        """After a crash: tell of what the records, by fingerprint, say has ended."""
        for proposer in self.proposers.values():
            proposer.reconcile(records, self.evaluate)

    def epoch_ended(self, trial: LiveTrial, message: EpochEnded) -> None:
        """Report the epochs of which the attempt has not told before; replicates are no trials of a study."""
        if trial.proposal.replicate_of is not None:
            return
        proposer = self.proposers[trial.proposal.family]
        for entry in message.history:
            proposer.report(trial.proposal.number, int(entry["epoch"]), entry["val/spearman"])

    def ended(self, record: TrialRecord, history: History) -> None:
        """Tell the trial's end."""
        if record.replicate_of is not None:
            return
        self.proposers[record.family].tell(record, self.evaluate(record))
