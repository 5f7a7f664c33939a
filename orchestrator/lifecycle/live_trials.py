"""The state machine of trials: proposed → running → waiting to run again, or put off → ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nrtune.analysis.store.records import FAILED, FINISHED, PRUNED, Proposal
from nrtune.orchestrator.lifecycle.faults import Failure
from nrtune.orchestrator.lifecycle.messages import EpochEnded, Message, TrialFailed
from nrtune.orchestrator.lifecycle.retries import Retries
from nrtune.orchestrator.lifecycle.sinks import Sink
from nrtune.orchestrator.lifecycle.stopping import Arrivals
from nrtune.orchestrator.lifecycle.trial import History, LiveTrial
from nrtune.orchestrator.state.ledger import Ledger


class LiveTrials:
    """Every trial that was proposed and has not ended: where it stands, and who is told when that changes.

    sinks: in this order; the first keeps the records, so that a crash between any two is mended at the next start. stopping:
    where trials are compared, with early stopping. `running` has what runs by the executor's name for the attempt.
    """

    def __init__(self, ledger: Ledger, sinks: Sequence[Sink], stopping: Arrivals | None) -> None:
        self.ledger, self.sinks, self.stopping = ledger, sinks, stopping
        self.retries = Retries()
        self.running: dict[str, LiveTrial] = {}
        self._waiting: dict[str, LiveTrial] = {}  # by fingerprint
        self.put_off: dict[str, Failure] = {}  # by fingerprint, what the environment kept from ending in this run

    def start(self, attempt: str, proposal: Proposal, resources: dict[str, float], *, shares: bool) -> None:
        """An attempt has begun."""
        trial = self._waiting.pop(proposal.fingerprint, None) or LiveTrial(proposal)
        trial.begin(resources, shares=shares)
        self.running[attempt] = trial
        self._tell(lambda sink: sink.started(trial))

    def hear(self, attempt: str, message: Message) -> None:
        """A worker has told of an epoch, or of a failure: then the attempt is about to end."""
        trial = self.running[attempt]
        match message:
            case TrialFailed():
                trial.fail(message.failure)
                self._tell(lambda sink: sink.failed(trial, message.traceback))
            case EpochEnded():
                trial.hear(message)
                self._tell(lambda sink: sink.epoch_ended(trial, message))

    def finish(self, attempt: str) -> None:
        """An attempt has ended by itself: trained to its end, stopped early, failed in Python, or out of time."""
        trial = self.running.get(attempt)
        if trial is None:
            return
        trial.stop()
        if trial.failure is not None:
            self._fail(trial, trial.failure)
        elif trial.final:
            self._end(trial, FINISHED)
        elif self.stopping is not None and self.stopping.stopped(trial.proposal.fingerprint):
            self._end(trial, PRUNED)
        else:  # the time budget is spent: the trial is taken up again by the next search
            self._tell(lambda sink: sink.suspended(trial, None))
        del self.running[attempt]  # not where a disk is full: what was not recorded still runs

    def lose(self, attempt: str, proposal: Proposal, failure: Failure, said: str) -> None:
        """An attempt's worker has died, maybe before it began."""
        trial = self.running.get(attempt) or self._waiting.pop(proposal.fingerprint, None) or LiveTrial(proposal)
        trial.stop()
        trial.fail(failure)
        self._tell(lambda sink: sink.failed(trial, said))
        self._fail(trial, failure)
        self.running.pop(attempt, None)

    def suspend(self) -> None:
        """Leave everything to the next start."""
        for trial in (*self.running.values(), *self._waiting.values()):
            if trial.proposal.fingerprint not in self.ledger.everything():
                self._tell(lambda sink, trial=trial: sink.suspended(trial, None))  # type: ignore[misc]
        self.running.clear()
        self._waiting.clear()

    def _fail(self, trial: LiveTrial, failure: Failure) -> None:
        """Let a failed trial run again where that may help; else it has ended."""
        proposal = trial.proposal
        if proposal.fingerprint in self.ledger.everything():  # a full disk: it was recorded, and what follows was not
            return
        following = self.retries.again(proposal, failure, trial.epoch, shares=trial.shares)
        if following is None and failure.is_environments:
            self.put_off[proposal.fingerprint] = failure
            self._tell(lambda sink: sink.suspended(trial, "waits for the next start"))
            return
        if following is None:
            self._end(trial, FAILED)
            return
        self._waiting[proposal.fingerprint] = trial
        self._tell(lambda sink: sink.suspended(trial, following))

    def _end(self, trial: LiveTrial, status: str) -> None:
        fingerprint = trial.proposal.fingerprint
        # A worker that died may have trained an epoch more than it told of.
        stored: History = self.ledger.history(fingerprint)
        history = max(trial.history, stored, key=len)
        record = trial.record(status, self.retries.attempt(fingerprint), history)
        self._tell(lambda sink: sink.ended(record, history))

    def _tell(self, call: Callable[[Sink], None]) -> None:
        for sink in self.sinks:
            call(sink)
