"""A search's answer: its finalists, and its baseline, with fresh seeds, from a share of its budget.

What is trained next is a function of the campaign's records (see nrtune.orchestrator.search.halving).
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from nrtune.analysis.selection.baselines import best_baselines
from nrtune.analysis.selection.candidates import BASELINE, ENCODER
from nrtune.analysis.selection.use_cases import UseCase, asked_of
from nrtune.analysis.selection.winners import finalists
from nrtune.analysis.store.records import FINISHED, MANIFEST, Proposal, TrialRecord, read_manifest
from nrtune.analysis.store.table import table_of
from nrtune.analysis.wording import count, listed, replicate_command, shell_path
from nrtune.orchestrator.campaign.replicates import check_code, fresh_seeds, with_seed
from nrtune.orchestrator.search.halving import LEAST, LEAST_BUDGET, MOST, Contest, Decision, Training, decide
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.training.training_data import TrainingData


def share_of(settings: Settings) -> float:
    """The share of all trainings that are to confirm: what is asked for, else what the campaign began with.

    One that began before there was such a share goes on without.
    """
    folder = Path(str(settings.out))
    if "confirm" not in settings.model_fields_set and (folder / MANIFEST).exists():
        return float(read_manifest(folder).get("settings", {}).get("confirm", 0))
    return settings.confirm


def trainings(settings: Settings) -> int:
    """How many trainings that is beside the search's own."""
    return _beside(settings.trials * len(settings.families), share_of(settings))


def _beside(trials: float, share: float) -> int:
    return round(trials * share / (1 - share))


def why_not(settings: Settings, select_on: str) -> str | None:
    """Why a search that has a share for it can't be confirmed, in one sentence that says what to do; None where it can."""
    if select_on == "challenge":
        return "no confirmation: nothing can be tested on the data that winners are selected on (--select-on challenge)"
    if BASELINE not in settings.families:
        return "no confirmation: there is no baseline to test winners against; add baseline to --families"
    if len(settings.families) == 1:
        return "no confirmation: the baseline alone is searched; add other families to --families"
    if (budget := trainings(settings)) < LEAST_BUDGET:
        return (
            f"no confirmation: {count(budget, 'training')} can't give {LEAST} fresh seeds to a finalist and to the baseline;"
            f" raise --trials or --confirm, or run nrtune replicate {shell_path(settings.out)} afterwards"
        )
    return None


def plan_of(settings: Settings, select_on: str) -> str:
    """What a search that has a share to confirm will train, in one sentence."""
    return why_not(settings, select_on) or (
        f"{count(settings.trials * len(settings.families), 'trial')}, then up to"
        f" {count(trainings(settings), 'training')} to confirm (--confirm {share_of(settings):g})"
    )


class Confirmation:
    """The trainings with fresh seeds of a search: of its baseline from the start, of its finalists once it has ended.

    Of several encoders the baseline gets them at the end, too, and on those alone that finalists are on.
    """

    def __init__(
        self, settings: Settings, select_on: str, data: TrainingData, use_cases: Mapping[str, UseCase], ledger: Ledger
    ) -> None:
        self.settings, self.select_on, self.data, self.use_cases, self.ledger = (
            settings,
            select_on,
            data,
            use_cases,
            ledger,
        )
        self.share, self.budget = share_of(settings), trainings(settings)
        self.seeds = fresh_seeds(MOST, {settings.seed})
        self._own: dict[str, TrialRecord] = {}
        self._contests: dict[str, Contest] = {}
        self._made: tuple[int, Decision] | None = None  # once so many replicates had ended
        self._ranked: dict[tuple[str, frozenset[tuple[str, int]]], list[str]] = {}

    def of_baseline(self) -> list[Proposal]:
        """What is missing of the published baseline's first fresh seeds, once it has been trained.

        Of a search on several encoders nothing: which of them its finalists are on is known at its end.
        """
        if self._has_several_encoders:
            return []
        trained = self._trained()
        return [
            self._proposal(Training(name, n))
            for name in self._published_baselines()
            for n in range(LEAST)
            if n not in trained.get(name, {})
        ]

    def begin(self, *, cut_short: bool) -> None:
        """Choose the finalists: of all trials that the search has, or of those for which there was time.

        Raises UserError where a finalist's code has changed.
        """
        self.budget = trainings(self.settings)
        if cut_short:
            self.budget = min(self.budget, self._in_time())
        self._own = {record.name: record for record in self.ledger.records.values()}
        self._contests, self._made = self._find_contests(), None
        decision = self.decision()
        entered = {name for names in (*decision.entered.values(), *decision.baselines.values()) for name in names}
        check_code([self._own[name] for name in entered], self.data)

    def wanted(self) -> list[Proposal]:
        """What is trained next, now that so many have ended."""
        return [self._proposal(one) for one in self.decision().next]

    def decision(self) -> Decision:
        """What comes next, and what has come of the confirmation so far."""
        ended = len(self.ledger.replicates)
        if self._made is None or self._made[0] != ended:
            self._made = ended, decide(self._contests, self._trained(), self.budget, self._rank)
        return self._made[1]

    def opening(self) -> list[str]:
        """What is about to be trained, in sentences."""
        decision = self.decision()
        entered = list(dict.fromkeys(name for names in decision.entered.values() for name in names))
        baselines = list(dict.fromkeys(name for names in decision.baselines.values() for name in names))
        if not entered and any(contest.finalists and contest.baselines for contest in self._contests.values()):
            return [
                f"nothing is confirmed: there is time for {count(self.budget, 'training')}, and it takes {LEAST_BUDGET}"
            ]
        if not entered:
            return ["nothing is confirmed: it takes a baseline that has finished, and another trial that has"]
        of = f"{count(len(entered), 'finalist')} ({listed(entered)}) and {listed(baselines)}"
        return [f"confirming {of} with fresh seeds: up to {count(self.budget, 'training')}"]

    def confirmed(self) -> list[str]:
        """The use cases that have an answer: their leader and baselines have enough fresh seeds."""
        decision = self.decision()
        return [name for name in decision.entered if decision.is_confirmed(name)]

    def closing(self) -> list[str]:
        """Which use cases have no answer, in a sentence; none where all have."""
        confirmed = self.confirmed()
        left = [name for name in self.settings.use_case or self.decision().entered if name not in confirmed]
        if not left:
            return []
        command = replicate_command(self.settings.out, left, own=self.settings.use_cases)
        return [f"not confirmed: {listed(left)}; to go on with {'it' if len(left) == 1 else 'them'}: {command}"]

    def _find_contests(self) -> dict[str, Contest]:
        """Finalists and baselines of each use case that the trials have values for."""
        published = self._published_baselines()
        # What these vary by over the seeds that they have from the start tells who is below them at a floor.
        of_baseline = [
            record
            for name in published
            for n, record in self._replicates().get(name, {}).items()
            if n < LEAST and not self._has_several_encoders  # there none has seeds yet, but after an interruption
        ]
        encoders = {name: str(record.config.get(ENCODER)) for name, record in self._own.items()}
        table = table_of([*self._own.values(), *of_baseline])
        found = {}
        for use_case in self.settings.use_case or asked_of(table, self.use_cases):
            try:
                ranked = finalists(table, use_case, self.select_on, len(table), self.use_cases)
                best = best_baselines(table, use_case, self.select_on, self.use_cases)
            except UserError:  # no trial has its metrics
                continue
            baselines = tuple(dict.fromkeys([*published, *best.values()]))
            names = tuple(name for name in ranked if self._own[name].family != BASELINE)
            found[use_case] = Contest(names, baselines, encoders)
        return found

    @property
    def _has_several_encoders(self) -> bool:
        return len(self.settings.encoders_asked) > 1

    def _published_baselines(self) -> list[str]:
        """Of each encoder the published baseline, by name: its first that finished."""
        baselines = [record for record in self.ledger.records.values()
                     if record.family == BASELINE and record.published is not None and record.status == FINISHED]  # fmt: skip
        first: dict[object, str] = {}
        for record in sorted(baselines, key=lambda record: record.number):
            first.setdefault(record.config.get(ENCODER), record.name)
        return list(first.values())

    def _in_time(self) -> int:
        """The trainings that are to be expected in the time that is left, by what the search's own took."""
        finished = [record.seconds for record in self.ledger.records.values() if record.status == FINISHED]
        if not finished:
            return 0
        seconds = sum(record.seconds for record in self.ledger.records.values())
        return _beside(seconds / (sum(finished) / len(finished)), self.share)

    def _replicates(self) -> dict[str, dict[int, TrialRecord]]:
        """What has ended with fresh seeds: of each configuration by the number of the seed."""
        numbers = {seed: number for number, seed in enumerate(self.seeds)}
        found: dict[str, dict[int, TrialRecord]] = defaultdict(dict)
        for record in self.ledger.replicates.values():
            if (number := numbers.get(record.config["seed"])) is not None:
                found[str(record.replicate_of)][number] = record
        return found

    def _trained(self) -> dict[str, dict[int, bool]]:
        return {
            name: {number: record.status == FINISHED for number, record in of.items()}
            for name, of in self._replicates().items()
        }

    def _rank(self, use_case: str, counted: Mapping[str, int]) -> Sequence[str]:
        """As the winner is picked, of the means over so many fresh seeds; on data that selection may look at."""
        key = use_case, frozenset(counted.items())
        if key not in self._ranked:
            self._ranked[key] = self._rank_anew(use_case, counted)
        return self._ranked[key]

    def _rank_anew(self, use_case: str, counted: Mapping[str, int]) -> list[str]:
        replicates, rows = self._replicates(), []
        for name, most in counted.items():
            metrics = [record.metrics for number, record in replicates.get(name, {}).items()
                       if number < most and record.status == FINISHED]  # fmt: skip
            means = {str(metric): value for metric, value in pd.DataFrame(metrics).mean(skipna=False).dropna().items()}
            rows.append(dataclasses.replace(self._own[name], metrics=means))
        try:
            ranked = finalists(table_of(rows), use_case, self.select_on, len(rows), self.use_cases)
        except UserError:  # none of them has a value
            return []
        return [name for name in ranked if self._own[name].family != BASELINE]

    def _proposal(self, one: Training) -> Proposal:
        return with_seed(self._record(one.name), self.seeds[one.seed], self.data)

    def _record(self, name: str) -> TrialRecord:
        return next(record for record in self.ledger.records.values() if record.name == name)
