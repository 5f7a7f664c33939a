"""A plan carried out: its records are opened, its trials run, and the folder left in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from nrtune.analysis.store.records import FAILED, read_references
from nrtune.analysis.wording import count, shell_path
from nrtune.orchestrator.campaign.confirmation import Confirmation
from nrtune.orchestrator.campaign.plan import Plan
from nrtune.orchestrator.campaign.reference_lines import add_references
from nrtune.orchestrator.campaign.shown import families_of, parameters_of, tags_of
from nrtune.orchestrator.campaign.warm_start import keep_start
from nrtune.orchestrator.execution.as_found import loggers_as_found, variables_as_found
from nrtune.orchestrator.execution.native_output import RAY_LOG, RAY_LOGS, native_output_to
from nrtune.orchestrator.lifecycle.circuit_breaker import CircuitBreaker, EnvironmentBreaker, EnvironmentBroken
from nrtune.orchestrator.lifecycle.faults import Failure, folder_fault
from nrtune.orchestrator.lifecycle.interrupts import SignalGuard
from nrtune.orchestrator.lifecycle.live_trials import LiveTrials
from nrtune.orchestrator.lifecycle.progress import Progress
from nrtune.orchestrator.lifecycle.rules import make_rule
from nrtune.orchestrator.lifecycle.sinks import RecordKeeper, Sink, StoppingKeeper, StudyKeeper
from nrtune.orchestrator.lifecycle.status_file import StatusFile
from nrtune.orchestrator.lifecycle.stopping import Arrivals, open_arrivals
from nrtune.orchestrator.lifecycle.time_budget import TimeBudget
from nrtune.orchestrator.lifecycle.time_left import CONFIRMING
from nrtune.orchestrator.lifecycle.tracker_sink import TrackerSink
from nrtune.orchestrator.search.allocation import Allocation
from nrtune.orchestrator.search.proposals import Proposer
from nrtune.orchestrator.search.replicates import Replicates, ReplicatesFirst
from nrtune.orchestrator.state.given import remember
from nrtune.orchestrator.state.identity import ADDRESSES
from nrtune.orchestrator.state.ledger import Ledger, left_behind, open_ledger
from nrtune.orchestrator.state.locations import MLFLOW
from nrtune.orchestrator.state.retention import plan_retention
from nrtune.orchestrator.tracking.deferred import DeferredTracker, is_deferred
from nrtune.orchestrator.tracking.tracker import TRACKERS, Tracker
from nrtune.trainables.core.errors import UserError

if TYPE_CHECKING:
    from nrtune.orchestrator.execution.resources import Resources


class Outcome(NamedTuple):
    """How a campaign ended: finished or interrupted, and how many trials ended with each status.

    confirming: the same of the trainings with fresh seeds that confirm a search. confirmed: the use cases that they do
    confirm. put_off: how many trials wait for the next start, as the environment failed them.
    """

    state: str
    counts: Mapping[str, int]
    why: str
    confirming: Mapping[str, int]
    confirmed: Sequence[str]
    put_off: int = 0


def run_campaign(plan: Plan) -> Outcome:
    """Run a campaign, or go on with it, until every family has its trials, the time is up, or Ctrl-C.

    Raises UserError, also where the folder can't be written, and where the environment fails one trial after another.
    """
    name = plan.settings.name or plan.folder.name
    ledger = open_ledger(plan.folder, name, plan.identity(), plan.about(), must_exist=plan.settings.resume)
    try:
        remember(plan.folder, plan.addresses)
        # Ray sets variables when it is imported, which is within.
        with variables_as_found("RAY_", "TUNE_"), loggers_as_found("optuna"):
            outcome = _Run(plan, ledger, plan.proposers(ledger)).run()
        if not ledger.is_here():
            raise UserError(left_behind(plan.folder))
        return outcome
    except Exception as error:
        if not ledger.is_here():
            raise UserError(left_behind(plan.folder)) from error
        if isinstance(error, UserError) or (fault := folder_fault(error, plan.folder)) is None:
            raise
        raise UserError(
            f"{plan.folder}: can't be written; {fault}, and start the same command again; nothing that is there is lost"
        ) from error
    finally:
        ledger.close()


class _Ray(NamedTuple):
    """What a running Ray gives each trial, and for how long."""

    resources: Resources
    time: TimeBudget


class _Run:
    """The parts of a run under way: who proposes, who is told, and what has ended."""

    def __init__(self, plan: Plan, ledger: Ledger, proposers: Mapping[str, Proposer]) -> None:
        self.plan, self.ledger, self.proposers = plan, ledger, proposers
        self.allocation, self.confirmation = plan.allocation(ledger), plan.confirmation(ledger)
        wanted, ended = plan.wanted(ledger), [*plan.ended(ledger).values()]
        if self.confirmation is not None:
            wanted, ended = wanted | {CONFIRMING: self.confirmation.budget}, [*ended, *ledger.replicates.values()]
        self.progress = Progress(wanted, ended, time_budget=plan.settings.time_budget)
        self.guard = SignalGuard()
        self.breaker = CircuitBreaker(record for record in ledger.records.values() if record.ended > ledger.since)
        self.environment = EnvironmentBreaker()
        self.put_off: dict[str, Failure] = {}
        self.studies = StudyKeeper(self.proposers, plan.evaluate)
        self.status = StatusFile(ledger, plan.settings.command, wanted, self.progress.seconds_left)

    def run(self) -> Outcome:
        """See that all is in order, run what is left, and close everything."""
        plan, ledger = self.plan, self.ledger
        if ledger.copied and any(plan.identity().get(name) for name in ADDRESSES):
            self.progress.say(ledger.copied)
        open_tracker = self._tracker_opener()
        name = "MLflow" if plan.settings.tracker == MLFLOW else plan.settings.tracker
        tracker = TrackerSink(
            ledger,
            open_tracker,
            lambda proposal: tags_of(ledger.manifest, proposal),
            plan.evaluate,
            say=self.progress.say,
            show=self.progress.show,
            name=name,
            again=f"nrtune track {shell_path(plan.settings.out)}",
        )
        tracker.open()
        state = "interrupted"  # unless it ends otherwise: an error must leave no run that looks alive
        try:
            keeper = RecordKeeper(ledger)
            keep_start(plan.folder, plan.data.start)
            add_references(plan.folder, plan.data, self.progress.say)
            self.progress.compare_to(read_references(plan.folder))
            self.studies.reconcile(ledger.records)
            for fingerprint in ledger.everything():
                keeper.forget_checkpoint(fingerprint)
            if self._is_anything_left():
                arrivals = _arrivals(plan, ledger)
                sinks = (keeper, self.breaker, self.environment, self.studies, tracker, self.progress, self.status)
                # Around the table, which keeps the standard error that it finds.
                with native_output_to(plan.folder / RAY_LOG, self.progress.say), self.progress:
                    outcome = self._train(sinks, arrivals)
            else:
                outcome = self._outcome("finished")
            state = outcome.state
            if state == "finished":
                settings = plan.settings
                retention = plan_retention(
                    plan.folder,
                    ledger.everything(),
                    plan.select_on,
                    settings.keep_top,
                    settings.keep,
                    plan.use_cases,
                )
                tracker.keep_models(retention.kept)
                retention.carry_out()
        finally:
            self.status.write(state)
            tracker.close(state)
        return outcome

    def _train(self, sinks: Sequence[Sink], arrivals: Arrivals | None) -> Outcome:
        """Start Ray, run the trials that are left and what confirms them, and stop Ray; sinks: the records' first."""
        plan, confirmation = self.plan, self.confirmation
        closed: Mapping[str, str] = {}
        try:
            with self.guard as guard:
                left = self._left()
                self.progress.say(f"starting Ray for {f'{left} trials' if left else 'the confirmation'}")
                from nrtune.orchestrator.execution.ray_session import ray_session  # Ray takes seconds to import
                from nrtune.orchestrator.execution.resources import find_resources

                with ray_session(plan.settings.address, guard, plan.folder / RAY_LOGS, self.progress.say):
                    guard.listen()
                    guard.leave_if_asked()
                    ray = _Ray(find_resources(plan, self.progress.say), TimeBudget(plan.settings.time_budget))
                    if left:
                        keeper, *others = sinks
                        stopping = [] if arrivals is None else [StoppingKeeper(arrivals)]
                        live = LiveTrials(self.ledger, (keeper, *stopping, *others), arrivals)
                        closed = self._search(live, ray)
                    if confirmation is not None:
                        self._confirm(confirmation, LiveTrials(self.ledger, sinks, None), ray, closed)
        except KeyboardInterrupt:
            return self._outcome("interrupted", "interrupted")
        except EnvironmentBroken as broken:
            raise UserError(str(broken)) from None
        if self._left(closed) or (confirmation is not None and confirmation.wanted()):
            return self._outcome("interrupted", self._why_left())
        return self._outcome("finished", "; ".join(closed.values()))

    def _search(self, live: LiveTrials, ray: _Ray) -> Mapping[str, str]:
        """Run the trials that are left; the baseline's fresh seeds among them, as soon as it has been trained."""
        proposers: list[Proposer] = [self.proposers[family] for family in self.plan.families]
        if (confirmation := self.confirmation) is None:
            return self._run(live, ray, proposers, self.allocation, ray.time.left())
        replicates = Replicates(confirmation.of_baseline)
        allocation = ReplicatesFirst(replicates, self.allocation)
        seconds = ray.time.left(kept=confirmation.share)
        return self._run(live, ray, [*proposers, replicates], allocation, seconds)

    def _confirm(self, confirmation: Confirmation, live: LiveTrials, ray: _Ray, closed: Collection[str]) -> None:
        """Train what confirms the winners, in the time that is left."""
        confirmation.begin(cut_short=self._left(closed) > 0)
        seconds = ray.time.left()
        for sentence in confirmation.opening():
            self.progress.say(sentence)
        if confirmation.wanted() and (seconds is None or seconds > 0):
            self.status.phase = CONFIRMING
            replicates = Replicates(confirmation.wanted)
            self._run(live, ray, [replicates], ReplicatesFirst(replicates), seconds)
            if not confirmation.wanted():
                self.status.phase = ""
        for sentence in confirmation.closing():
            self.progress.say(sentence)

    def _run(
        self,
        live: LiveTrials,
        ray: _Ray,
        proposers: Sequence[Proposer],
        allocation: Allocation,
        seconds: float | None,
    ) -> Mapping[str, str]:
        """Run what is proposed on the Ray that runs; by family, why one is asked no more."""
        from nrtune.orchestrator.execution.searcher import Parts
        from nrtune.orchestrator.execution.tuner import run_trials

        parts = Parts(
            proposers=proposers,
            allocation=allocation,
            ended=self.plan.ended(self.ledger),
            live=live,
            breaker=self.breaker,
            environment=self.environment,
            guard=self.guard,
            say=self.progress.say,
        )
        try:
            return run_trials(self.plan, parts, ray.resources, seconds)
        finally:
            # Ray Tune ends what still runs when the time is up without a word to its callbacks.
            live.suspend()
            self.put_off |= live.put_off

    def _why_left(self) -> str:
        if not self.put_off:
            return "the time budget is spent"
        last = [*self.put_off.values()][-1]
        return f"{count(len(self.put_off), 'trial')} put off: {last.message}"

    def _tracker_opener(self) -> Callable[[], Tracker]:
        plan, manifest = self.plan, self.ledger.manifest
        families = families_of(manifest, self.ledger.records.values()) or plan.families
        if is_deferred(plan.settings.tracker, MLFLOW, plan.tracking_uri):
            return DeferredTracker
        # Imports MLflow, which takes seconds, as do the tables of a new database.
        return lambda: TRACKERS.get(plan.settings.tracker).open(
            plan.tracking_uri, plan.folder, manifest, parameters_of(manifest, families)
        )

    def _outcome(self, state: str, why: str = "") -> Outcome:
        counts = Counter(record.status for record in self.plan.ended(self.ledger).values())
        if (confirmation := self.confirmation) is None:
            return Outcome(state, counts, why, {}, (), len(self.put_off))
        confirming = Counter(record.status for record in self.ledger.replicates.values())
        return Outcome(state, counts, why, confirming, confirmation.confirmed(), len(self.put_off))

    def _is_anything_left(self) -> bool:
        """Whether a trial is left, or, where none is, a training that confirms them."""
        if self._left():
            return True
        if self.confirmation is None:
            return False
        self.confirmation.begin(cut_short=False)
        return bool(self.confirmation.wanted())

    def _left(self, closed: Collection[str] = ()) -> int:
        ended = Counter(record.family for record in self.plan.ended(self.ledger).values())
        return self.allocation.left(ended, closed)


def _arrivals(plan: Plan, ledger: Ledger) -> Arrivals | None:
    """Where trials are compared while they train; None without early stopping, and where the budget leaves no rung."""
    if plan.early_stopping is None:
        return None
    rule = make_rule(plan.epochs, plan.early_stopping)
    if not rule.rungs:
        return None
    ended = (
        (fingerprint, [entry["val/spearman"] for entry in ledger.history(fingerprint)])
        for fingerprint, record in ledger.records.items()
        if record.status != FAILED
    )
    failed = [record.fingerprint for record in ledger.records.values() if record.status == FAILED]
    epochs = {record.fingerprint: int(record.config["epochs"]) for record in ledger.records.values()}
    return open_arrivals(rule, plan.folder, ended, failed, epochs)
