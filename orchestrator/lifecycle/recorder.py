"""What happens when Ray Tune says something: every end of a trial passes through here, and into the books first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import cloudpickle
from ray.tune import Callback

from nrtune.analysis.store.records import FAILED, FINISHED, PRUNED, TrialRecord, read_references
from nrtune.orchestrator.lifecycle.faults import CRASHED, Failure, classify
from nrtune.orchestrator.lifecycle.interrupts import Interrupts
from nrtune.orchestrator.lifecycle.messages import MESSAGE, EpochEnded, Message, TrialFailed
from nrtune.orchestrator.lifecycle.progress import Progress
from nrtune.orchestrator.lifecycle.retries import Outcomes, Retries
from nrtune.orchestrator.lifecycle.stopping import Arrivals
from nrtune.orchestrator.search.family_study import Objective, Proposal, Proposer
from nrtune.orchestrator.state.ledger import Ledger, now
from nrtune.orchestrator.state.retention import Sweep
from nrtune.orchestrator.tracking.publisher import Publisher
from nrtune.trainables.core.files import BEST, LAST, PREDICTIONS

if TYPE_CHECKING:
    from nrtune.orchestrator.tracking.mlflow_tracker import Tracker

ERROR = "error.txt"
STATUS_SECONDS = 2.0
"""status.json is written at most this often."""

INTERRUPTED_SECONDS = 30.0
"""An interrupted search waits no longer for one write to MLflow: what is missing, the next start writes."""

LOG_SECONDS = 5.0
"""A trial's epochs go to MLflow at most so often, together: that costs a quarter of one call each."""


class Recorder(Callback):
    """Writes ledger, Optuna and MLflow, in that order, so that a crash between any two is mended at the next start.

    open_tracker is called from the publisher's thread, and again where it failed. arrivals: with early stopping, where
    trials are compared.
    """

    def __init__(
        self,
        ledger: Ledger,
        open_tracker: Callable[[], Tracker],
        studies: Mapping[str, Proposer],
        objective: Objective,
        tags_of: Callable[[Proposal], dict[str, str]],
        progress: Progress,
        command: str,
        arrivals: Arrivals | None = None,
    ) -> None:
        self.arrivals = arrivals
        self.ledger, self.open_tracker, self.studies, self.command = ledger, open_tracker, studies, command
        self.objective, self.tags_of, self.progress = objective, tags_of, progress
        self.running: dict[str, _Running] = {}
        self.retries = Retries()
        self.outcomes = Outcomes(record for record in ledger.records.values() if record.ended > ledger.since)
        self.closed_families: dict[str, str] = {}  # those that are asked no more, and why
        self.again: dict[str, _Running] = {}  # by fingerprint, trials that wait for another attempt
        self.interrupts = Interrupts()
        self._status_written = 0.0
        self.publisher = Publisher(self._publish_missing, progress.say)
        self.publisher.put(lambda: self.tracker)  # takes seconds, which Ray's start takes as well

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles its parts for a restore of its own, which a restart over the books does without."""
        return {}

    def reconcile(self) -> None:
        """After a crash: close in MLflow and Optuna what the ledger says has ended, and mark what was interrupted."""
        for study in self.studies.values():
            study.reconcile(self.ledger.records, self.objective)
        for fingerprint in self.ledger.everything():
            (self.ledger.trial_folder(fingerprint) / LAST).unlink(missing_ok=True)
        self.publisher.put(lambda: self.tracker.interrupt(self.tracker.unfinished()))
        self.publisher.put(self._publish_missing)

    def close_family(self, family: str, why: str) -> None:
        """Note that a family is asked no more."""
        self.closed_families[family] = why
        self.progress.say(why)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Leave here if it was asked for: nothing is being written now."""
        self.interrupts.leave_if_asked()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Open the trial's run."""
        proposal = Proposal.from_json(trial.config["proposal"])
        running = self.again.pop(proposal.fingerprint, None) or _Running(proposal)
        running.start(trial.config["resources"])
        self.running[trial.trial_id] = running
        self.publisher.put(lambda: self.tracker.start(proposal, self.tags_of(proposal)))
        self._show()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Log an epoch."""
        running = self.running[trial.trial_id]
        message: Message = result.pop(MESSAGE)  # Ray Tune would keep it
        match message:
            case TrialFailed():
                running.failure = message.failure
                self._write_error(running.proposal, message.traceback)
            case EpochEnded():
                running.hear(message)
                if time.monotonic() - running.logged > LOG_SECONDS:
                    self._log_running(running)
                study = self.studies[running.proposal.family]
                for entry in message.history:
                    study.report(running.proposal.number, int(entry["epoch"]), entry["val/spearman"])
                self._show()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record the end of a trial that ran to its end, was stopped early, failed in Python, or was cut off."""
        running = self.running.get(trial.trial_id)
        if running is None:
            return
        running.stop()
        if running.failure is not None:
            self._fail(running)
        elif running.final:
            self._end(running, FINISHED)
        elif self.arrivals is not None and self.arrivals.stopped(running.proposal.fingerprint):
            self._end(running, PRUNED)
        else:  # the time budget is spent: the trial is taken up again by the next search
            self._log_running(running)
            self.publisher.put(lambda: self.tracker.interrupt([running.proposal.fingerprint]))
        del self.running[trial.trial_id]
        self._show()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a trial whose worker died."""
        proposal = Proposal.from_json(trial.config["proposal"])
        running = self.running.get(trial.trial_id) or self.again.pop(proposal.fingerprint, None) or _Running(proposal)
        running.stop()
        error = _worker_error(trial)
        running.failure = Failure(CRASHED, "the worker died", restartable=True) if error is None else classify(error)
        self._write_error(proposal, str(error or ""))
        self._fail(running)
        self.running.pop(trial.trial_id, None)
        self._show()

    def interrupt(self) -> None:
        """Mark all running trials as interrupted."""
        for running in self.running.values():
            self._log_running(running)
        fingerprints = [running.proposal.fingerprint for running in (*self.running.values(), *self.again.values())]
        ended = self.ledger.everything()
        self.publisher.put(lambda: self.tracker.interrupt(f for f in fingerprints if f not in ended))
        self.running.clear()
        self.again.clear()

    def keep_models(self, sweep: Sweep) -> None:
        """Once all has ended: log the checkpoints that stay to their runs, and let the others go."""
        for fingerprint in sweep.kept:
            path = self.ledger.trial_folder(fingerprint) / BEST
            if path.exists():
                self.publisher.put(partial(self._log_model, fingerprint, path))
        sweep.carry_out()

    def close(self, state: str) -> None:
        """Write status.json and, with all that it missed, MLflow for the last time."""
        self.write_status(state)
        ended = Counter(f"trials/{record.status}" for record in self.ledger.records.values())
        ended.update(f"replicates/{record.status}" for record in self.ledger.replicates.values())
        counts = {name: float(count) for name, count in ended.items()}
        patience = INTERRUPTED_SECONDS if state == "interrupted" else None
        self.publisher.close(lambda: self.tracker.close(state, counts), patience)

    def write_status(self, state: str) -> None:
        """Write status.json."""
        running = [
            {
                "name": r.proposal.name,
                "family": r.proposal.family,
                "fingerprint": r.proposal.fingerprint,
                "epoch": r.epoch,
                "epochs": r.proposal.config["epochs"],
                "val_spearman": r.history[-1]["val/spearman"] if r.history else None,
                "pid": r.pid,
            }
            for r in self.running.values()
        ]
        self._status_written = time.monotonic()
        with suppress(OSError):  # it only shows what goes on; where the disk is full, the ledger says so
            self.ledger.write_status(state, self.command, running)

    def _fail(self, running: _Running) -> None:
        """Let a failed trial run again where that may help; else it has ended."""
        proposal, failure = running.proposal, running.failure
        assert failure is not None
        if proposal.fingerprint in self.ledger.everything():  # a full disk: it was recorded, and what follows was not
            return
        following = self.retries.again(proposal, failure, running.epoch)
        if following is None:
            self._end(running, FAILED)
            return
        self.progress.say(f"{proposal.name} {following} ({failure.failure_class}: {failure.message[:100]})")
        self.again[proposal.fingerprint] = running
        self.publisher.put(lambda: self.tracker.interrupt([proposal.fingerprint]))

    def _write_error(self, proposal: Proposal, text: str) -> None:
        """Keep all that was said of a failure beside the trial; the ledger has the class and a line."""
        folder = self.ledger.trial_folder(proposal.fingerprint)
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ERROR).write_text(text)

    def _end(self, running: _Running, status: str) -> None:
        proposal = running.proposal
        # A worker that died may have trained an epoch more than it told of.
        stored: Sequence[Mapping[str, float]] = self.ledger.history(proposal.fingerprint)
        history = max(running.history, stored, key=len)
        record = TrialRecord(
            name=proposal.name,
            family=proposal.family,
            number=proposal.number,
            fingerprint=proposal.fingerprint,
            status=status,
            config=proposal.config,
            metrics=running.metrics or {},
            epochs_trained=len(history),
            seconds=round(sum(entry["seconds"] for entry in history), 3),
            started=running.started,
            ended=now(),
            published=proposal.published,
            also=proposal.also,
            failure_class=running.failure.failure_class if running.failure else None,
            failure=running.failure.message if running.failure else None,
            replicate_of=proposal.replicate_of,
            attempts=self.retries.attempt(proposal.fingerprint).number,
            micro_batches=self.retries.attempt(proposal.fingerprint).micro_batches,
            cpu_seconds=round(running.held["cpu"], 1),
            gpu_seconds=round(running.held["gpu"], 1),
        )
        self.ledger.append(record)
        if self.arrivals is not None and status == FAILED:
            self.arrivals.take_back(record.fingerprint)
        elif self.arrivals is not None:  # Ray Tune does not ask about one that is done as soon as it is taken up
            self.arrivals.arrive(record.fingerprint, [entry["val/spearman"] for entry in history], protected=True)
        self.outcomes.note(record)
        self.studies[record.family].tell(record, self.objective(record))
        self.publisher.put(lambda: self._publish(record, history))
        self.progress.ended(record)
        (self.ledger.trial_folder(record.fingerprint) / LAST).unlink(missing_ok=True)

    def _log_running(self, running: _Running) -> None:
        """Write what MLflow does not have yet of a running trial's epochs."""
        running.logged = time.monotonic()
        proposal, history = running.proposal, tuple(running.history)

        def write() -> None:
            self._open_run(proposal)
            self.tracker.log_history(proposal.fingerprint, history)

        self.publisher.put(write)

    def _show(self) -> None:
        self.progress.running([(r.proposal, r.epoch, r.history) for r in self.running.values()])
        if time.monotonic() - self._status_written > STATUS_SECONDS:
            self.write_status("running")

    # What follows runs in the publisher's thread.

    @cached_property
    def tracker(self) -> Tracker:
        """The campaign's runs in MLflow."""
        return self.open_tracker()

    def _log_model(self, fingerprint: str, path: Path) -> None:
        self.tracker.log_model(fingerprint, path)

    def _publish_missing(self) -> None:
        """Write to MLflow what the books have and MLflow has not, after a crash or while it did not answer."""
        self.tracker.log_references(read_references(self.ledger.folder))
        for record in self.ledger.everything().values():
            self._publish(record)

    def _publish(self, record: TrialRecord, history: Sequence[Mapping[str, float]] = ()) -> None:
        """Bring a trial's MLflow run to its end, whatever it has of it already."""
        if self.tracker.is_closed(record.fingerprint):
            return
        folder = self.ledger.trial_folder(record.fingerprint)
        self._open_run(Proposal(**{name: getattr(record, name) for name in Proposal._fields}))
        history = history or self.ledger.history(record.fingerprint)
        self.tracker.finish(record, history, [folder / name for name in PREDICTIONS], self.objective(record))

    def _open_run(self, proposal: Proposal) -> None:
        """Open a trial's run now if MLflow was away when the trial began."""
        if not self.tracker.has_run(proposal.fingerprint):
            self.tracker.start(proposal, self.tags_of(proposal))


class _Running:
    """A trial under way, in one attempt after another, as far as its reports tell.

    held: seconds times CPUs and GPUs, of all attempts.
    """

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.started = now()
        self.held = {"cpu": 0.0, "gpu": 0.0}
        self.start({})

    def start(self, resources: Mapping[str, float]) -> None:
        """Begin an attempt; its first report tells of the epochs of those before it, too."""
        self.resources = resources
        self.since = self.logged = time.monotonic()
        self.epoch = 0
        self.pid: int | None = None
        self.history: list[Mapping[str, float]] = []
        self.metrics: Mapping[str, float] | None = None
        self.final = False
        self.failure: Failure | None = None

    def hear(self, message: EpochEnded) -> None:
        """Take in an epoch."""
        self.epoch, self.pid = message.epoch, message.pid
        self.history += message.history
        self.metrics, self.final = message.metrics, message.final

    def stop(self) -> None:
        """End an attempt."""
        seconds = time.monotonic() - self.since
        for name, amount in self.resources.items():
            self.held[name] += amount * seconds
        self.resources = {}


def _worker_error(trial: Any) -> BaseException | None:
    """What made Ray Tune give up a trial's worker; it keeps the error in a file of the driver's own."""
    path = trial.pickled_error_file
    if path is None or not Path(path).exists():
        return None
    with Path(path).open("rb") as file:
        error: BaseException = cloudpickle.load(file)
    return error
