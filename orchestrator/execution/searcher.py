"""What Ray Tune asks for the next trial."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ray.tune.search import Searcher

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.orchestrator.execution.resources import Resources
from nrtune.orchestrator.lifecycle.circuit_breaker import CircuitBreaker, EnvironmentBreaker
from nrtune.orchestrator.lifecycle.interrupts import SignalGuard
from nrtune.orchestrator.lifecycle.live_trials import LiveTrials
from nrtune.orchestrator.lifecycle.retries import Attempt
from nrtune.orchestrator.search.allocation import Allocation
from nrtune.orchestrator.search.proposals import Proposer

NODES_SECONDS = 5.0
"""How often the cluster is asked for its nodes."""


class Parts(NamedTuple):
    """What proposes a campaign's trials, counts them, watches them and speaks of them while they run."""

    proposers: Sequence[Proposer]
    allocation: Allocation
    ended: Mapping[str, TrialRecord]
    """By fingerprint, what has ended of the trials that count as this run's."""
    live: LiveTrials
    breaker: CircuitBreaker
    environment: EnvironmentBreaker
    guard: SignalGuard
    say: Callable[[str], None]


class FamilySearcher(Searcher):
    """Hands Ray Tune the next proposal of the family whose turn it is.

    resources: what a trial gets, and what one gets that runs alone. most: how many trials may be proposed at a time; it is
    asked again as nodes come and go. Trials that go on after a failure come before new ones. `closed` says why a family
    is asked no more.
    """

    def __init__(self, parts: Parts, resources: Resources, most: Callable[[], int]) -> None:
        super().__init__()
        self._ask_most, self._most, self._asked = most, 0, -math.inf
        self.proposers, self.allocation = list(parts.proposers), parts.allocation
        self._live, self._breaker, self._guard, self._say = parts.live, parts.breaker, parts.guard, parts.say
        self._environment = parts.environment
        self.resources = resources
        self.closed: dict[str, str] = {}
        self._handed_out: set[str] = set()
        # Those that run alone: until one starts nothing new does, or others would take every part that becomes free.
        self.alone: set[str] = set()
        self.started = Counter(record.family for record in parts.ended.values())
        self.proposed = set(parts.ended)
        self.reserved = {fingerprint for proposer in parts.proposers for fingerprint in proposer.interrupted()}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles its parts for a restore of its own, which a restart over the books does without."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's configuration; FINISHED, or None while a running trial may yet come back.

        Ray Tune asks for minutes, without another step, where all wait to run again: it is left from here as well.
        """
        self._guard.leave_if_asked()
        self._environment.leave_if_broken()
        if len(self._handed_out) >= self._most_now() or self.alone - self._live.running.keys():
            return None
        proposal = self._live.retries.pop()
        # A trial that waits to run again keeps its place: what comes after it must not know less than if nothing had failed.
        if proposal is None and len(self._handed_out) + len(self._live.retries) < self._most_now():
            proposal = self._new()
        if proposal is not None:
            self._handed_out.add(trial_id)
            attempt = self._live.retries.attempt(proposal.fingerprint)
            if attempt.alone and self.resources.shares:
                self.alone.add(trial_id)
            return self._config(proposal, attempt)
        return None if self._handed_out or self._live.running or self._live.retries else Searcher.FINISHED

    def _most_now(self) -> int:
        if time.monotonic() - self._asked > NODES_SECONDS:
            self._most, self._asked = self._ask_most(), time.monotonic()
        return self._most

    def _new(self) -> Proposal | None:
        while (proposer := self.allocation.choose(self.proposers, self.started)) is not None:
            # What was interrupted goes on whatever became of others.
            why, proposal = None if proposer.interrupted() else self._breaker.tripped(proposer.name), None
            if why is None:
                proposal = proposer.propose(self.proposed, self.reserved)
                why = f"{proposer.name} has no configuration left to try"
            if proposal is None:
                self.closed[proposer.name] = why
                self._say(why)
                self.proposers.remove(proposer)
                continue
            self.started[proposer.name] += 1
            self.proposed.add(proposal.fingerprint)
            return proposal
        return None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The trial may be followed by others; the sinks tell what proposes, after the records."""
        self._handed_out.discard(trial_id)
        self.alone.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the studies and the ledger are the searcher's state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a restart opens the same books."""

    def _config(self, proposal: Proposal, attempt: Attempt) -> dict[str, Any]:
        return {
            "proposal": proposal.to_json(),
            "fingerprint": proposal.fingerprint,
            "protected": proposal.published is not None,
            "epochs": proposal.config["epochs"],
            "compared": proposal.replicate_of is None,
            "resources": self.resources.alone if attempt.alone else self.resources.each,
            "shares": self.resources.shares,
            "micro_batches": attempt.micro_batches,
        }
