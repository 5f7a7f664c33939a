"""A plan carried out: its records are opened, its trials run, and the folder left in order."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from nrtune.analysis.store.records import FAILED, MANIFEST
from nrtune.orchestrator.campaign.plan import Plan
from nrtune.orchestrator.campaign.reference_lines import add_references
from nrtune.orchestrator.lifecycle.circuit_breaker import CircuitBreaker
from nrtune.orchestrator.lifecycle.faults import storage_fault
from nrtune.orchestrator.lifecycle.interrupts import SignalGuard
from nrtune.orchestrator.lifecycle.live_trials import LiveTrials
from nrtune.orchestrator.lifecycle.progress import Progress
from nrtune.orchestrator.lifecycle.rules import make_rule
from nrtune.orchestrator.lifecycle.sinks import RecordKeeper, StoppingKeeper, StudyKeeper
from nrtune.orchestrator.lifecycle.status_file import StatusFile
from nrtune.orchestrator.lifecycle.stopping import Arrivals, open_arrivals
from nrtune.orchestrator.lifecycle.tracker_sink import TrackerSink
from nrtune.orchestrator.search.proposals import Proposer
from nrtune.orchestrator.state.ledger import Ledger, open_ledger
from nrtune.orchestrator.state.locations import MLFLOW
from nrtune.orchestrator.state.retention import plan_retention
from nrtune.orchestrator.tracking.tracker import TRACKERS, Tracker
from nrtune.trainables.core.errors import UserError


class Outcome(NamedTuple):
    """How a campaign ended: finished or interrupted, and how many trials ended with each status."""

    state: str
    counts: Mapping[str, int]
    why: str


def run_campaign(plan: Plan) -> Outcome:
    """Run a campaign, or go on with it, until every family has its trials, the time is up, or Ctrl-C.

    Raises UserError, also where the folder can't be written.
    """
    fresh = not (plan.folder / MANIFEST).exists()
    name = plan.settings.name or plan.folder.name
    ledger = open_ledger(plan.folder, name, plan.identity(), plan.about(), must_exist=plan.settings.resume)
    try:
        return _Run(plan, ledger, plan.proposers(ledger)).run(fresh=fresh)
    except Exception as error:
        if isinstance(error, UserError) or (fault := storage_fault(error)) is None:
            raise
        raise UserError(
            f"{plan.folder}: can't be written ({fault}); nothing that is there is lost: make room, and start"
            " the same command again"
        ) from error
    finally:
        ledger.close()


class _Run:
    """The parts of a run under way: who proposes, who is told, and what has ended."""

    def __init__(self, plan: Plan, ledger: Ledger, proposers: Mapping[str, Proposer]) -> None:
        self.plan, self.ledger, self.proposers = plan, ledger, proposers
        self.allocation = plan.allocation(ledger)
        self.progress = Progress(plan.wanted(ledger), plan.ended(ledger).values())
        self.guard = SignalGuard()
        self.breaker = CircuitBreaker(record for record in ledger.records.values() if record.ended > ledger.since)
        self.studies = StudyKeeper(self.proposers, plan.evaluate)
        self.status = StatusFile(ledger, plan.settings.command)

    def run(self, *, fresh: bool) -> Outcome:
        """See that all is in order, run what is left, and close everything; fresh: the campaign has just been made."""
        plan, ledger = self.plan, self.ledger
        open_tracker = self._tracker_opener()
        name = "MLflow" if plan.settings.tracker == MLFLOW else plan.settings.tracker
        if plan.tracking_uri is not None or not fresh:
            open_tracker()  # what can't be opened is said before anything is trained
        tracker = TrackerSink(ledger, open_tracker, plan.tags_of, plan.evaluate, self.progress.say, name)
        tracker.open()
        state = "interrupted"  # unless it ends otherwise: an error must leave no run that looks alive
        try:
            keeper = RecordKeeper(ledger)
            add_references(plan.folder, plan.data, self.progress.say)
            self.studies.reconcile(ledger.records)
            for fingerprint in ledger.everything():
                keeper.forget_checkpoint(fingerprint)
            tracker.reconcile()
            outcome = self._outcome("finished")
            if self._left():
                arrivals = _arrivals(plan, ledger)
                stopping = [] if arrivals is None else [StoppingKeeper(arrivals)]
                sinks = (keeper, *stopping, self.breaker, self.studies, tracker, self.progress, self.status)
                with self.progress:
                    outcome = self._tune(LiveTrials(ledger, sinks, arrivals))
            state = outcome.state
            if state == "finished":
                settings = plan.settings
                retention = plan_retention(
                    plan.folder, ledger.everything(), plan.select_on, settings.keep_top, settings.keep
                )
                tracker.keep_models(retention.kept)
                retention.carry_out()
        finally:
            self.status.write(state)
            tracker.close(state)
        return outcome

    def _tune(self, live: LiveTrials) -> Outcome:
        """Start Ray, run the trials that are left, and stop Ray."""
        try:
            with self.guard as guard:
                self.progress.say(f"starting Ray for {self._left()} trials")
                from nrtune.orchestrator.execution.ray_session import ray_session  # Ray takes seconds to import
                from nrtune.orchestrator.execution.searcher import Parts
                from nrtune.orchestrator.execution.tuner import run_trials

                with ray_session(self.plan.settings.address):
                    guard.listen()
                    guard.leave_if_asked()
                    parts = Parts(
                        proposers=[self.proposers[family] for family in self.plan.families],
                        allocation=self.allocation,
                        ended=self.plan.ended(self.ledger),
                        live=live,
                        breaker=self.breaker,
                        guard=guard,
                        say=self.progress.say,
                    )
                    closed = run_trials(self.plan, parts)
        except KeyboardInterrupt:
            return self._outcome("interrupted", "interrupted")
        finally:
            # Ray Tune ends what still runs when the time is up without a word to its callbacks.
            live.suspend()
        if self._left(closed):
            return self._outcome("interrupted", "the time budget is spent")
        return self._outcome("finished", "; ".join(closed.values()))

    def _tracker_opener(self) -> Callable[[], Tracker]:
        plan, manifest = self.plan, self.ledger.manifest
        # With MLflow, which takes seconds, as do the tables of a new database.
        return functools.cache(
            lambda: TRACKERS.get(plan.settings.tracker).open(
                plan.tracking_uri, plan.folder, manifest, plan.parameters()
            )
        )

    def _outcome(self, state: str, why: str = "") -> Outcome:
        return Outcome(state, Counter(record.status for record in self.plan.ended(self.ledger).values()), why)

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
    return open_arrivals(rule, plan.folder, ended, failed)
