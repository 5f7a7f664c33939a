"""A family's Optuna study, in which its trials are proposed.

It is one of the campaign's records: what was proposed and how it ended. After an interruption its proposals that
never ended are proposed again first, with the same parameters.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nrtune.analysis.store.records import FINISHED, PRUNED, Proposal, TrialRecord
from nrtune.orchestrator.search.grid import Grid
from nrtune.orchestrator.search.proposals import Evaluate, ObjectiveValues
from nrtune.orchestrator.search.samplers import SamplerName, assign_generation, make_sampler
from nrtune.search_spaces import Choice, Family, Float, Int, Parameter, Value
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.randomness import derive_seed
from nrtune.trainables.training.config import TrialConfig

ASK_AGAIN = 20
"""Proposals that repeat a trial are asked anew so often before the family counts as exhausted."""

REPORT_SECONDS = 1.0
"""A trial's epochs are reported to Optuna at most so often."""

CONFIG, FINGERPRINT, NAME, PUBLISHED, REPEATS = "config", "fingerprint", "name", "published", "repeats"
_SETTLED = {FINGERPRINT, REPEATS}
"""A trial without either was cut off while it was proposed."""


class _Live:
    """A trial that was proposed and has not ended: the epochs of its curve that Optuna has, and the newest that it lacks."""

    def __init__(self, trial: optuna.trial.Trial, reported: Iterable[int] = ()) -> None:
        self.trial, self.reported, self.reported_at = trial, set(reported), -math.inf
        self.newest: tuple[int, float] | None = None

    def report(self, epoch: int, value: float) -> None:
        if epoch in self.reported:
            return
        self.newest = epoch, value
        if time.monotonic() - self.reported_at >= REPORT_SECONDS:
            self.report_newest()

    def report_newest(self) -> None:
        if self.newest is not None:
            epoch, value = self.newest
            self.trial.report(value, step=epoch)
            self.reported.add(epoch)
            self.reported_at, self.newest = time.monotonic(), None


class FamilyStudy:
    """One family's Optuna study.

    `make_config` turns the family's fixed and searched parameters into a TrialConfig, `fingerprint_of` names it; the
    same `seed` draws the same proposals, as far as they do not depend on which trial ended first. Whatever the sampler,
    starting points come first, and it learns from the values of finished trials alone. retried: fingerprints of failed trials
    that are proposed again.
    """

    def __init__(
        self,
        name: str,
        family: Family,
        study: optuna.Study,
        make_config: Callable[[Mapping[str, Any]], TrialConfig],
        fingerprint_of: Callable[[TrialConfig], str],
        seed: int,
        sampler: SamplerName = "tpe",
        retried: Collection[str] = (),
    ) -> None:
        self.name, self.family, self.study, self.seed, self.sampler = name, family, study, seed, sampler
        self.make_config, self.fingerprint_of, self._retried = make_config, fingerprint_of, retried
        self._names = optuna_names(family.space)
        # From its beginning after each restart: what was proposed of it is passed over.
        self._grid: Iterator[dict[str, Value]] | None = None
        if sampler == "grid":
            self._grid = Grid(family).shuffled(derive_seed(seed, name))
        self._has_curves = study.directions == [StudyDirection.MAXIMIZE]
        self._live: dict[int, _Live] = {}
        self._interrupted: list[FrozenTrial] = []

    def reconcile(self, records: Mapping[str, TrialRecord], evaluate: Evaluate) -> None:
        """Bring the study in line with the records: tell what ended, keep what was interrupted to propose it again."""
        self._interrupted = []
        last = max((record.number for record in records.values() if record.family == self.name), default=-1)
        if last >= len(self.study.get_trials(deepcopy=False)):
            raise UserError(
                f"the Optuna study {self.study.study_name!r} lacks trials that the campaign has; put its storage back,"
                " or start anew in another --out"
            )
        self._take_up()
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            fingerprint = trial.user_attrs.get(FINGERPRINT)
            if fingerprint is None:  # killed in the middle of a proposal; a starting point is proposed again
                self.study.tell(trial.number, state=TrialState.FAIL)
            elif fingerprint not in records:
                self._interrupted.append(trial)
            elif (records[fingerprint].family, records[fingerprint].number) == (self.name, trial.number):
                self.tell(records[fingerprint], evaluate(records[fingerprint]))
            else:  # another family's trial of the same fingerprint has ended meanwhile
                self.study.tell(trial.number, state=TrialState.FAIL)

    def _take_up(self) -> None:
        """Have what failed and is tried again run once more, under a new number.

        Optuna lets a trial that has ended run no more.
        """
        proposed: dict[str, FrozenTrial] = {}
        for trial in self.study.get_trials(deepcopy=False):
            if FINGERPRINT in trial.user_attrs:  # the last of each
                proposed[trial.user_attrs[FINGERPRINT]] = trial
        for fingerprint, trial in proposed.items():
            if trial.state == TrialState.FAIL and fingerprint in self._retried:
                self.study.add_trial(
                    optuna.trial.create_trial(
                        state=TrialState.RUNNING,
                        params=trial.params,
                        distributions=trial.distributions,
                        user_attrs=trial.user_attrs,
                        system_attrs=trial.system_attrs,
                    )
                )

    def interrupted(self) -> list[str]:
        """Fingerprints of the trials that will be proposed again."""
        return [trial.user_attrs[FINGERPRINT] for trial in self._interrupted]

    def propose(self, known: Collection[str], reserved: Collection[str] = ()) -> Proposal | None:
        """The next trial whose fingerprint is not in `known`; None where the space seems exhausted.

        Interrupted trials come first; a new one is not in `reserved` either, where those of all families are.
        """
        while self._interrupted:
            frozen = self._interrupted.pop(0)
            if frozen.user_attrs[FINGERPRINT] not in known:
                return self._again(frozen)
            self.study.tell(frozen.number, state=TrialState.FAIL)
        names, repeats = self._made()
        made = len(names)
        for attempt in range(repeats % ASK_AGAIN, ASK_AGAIN) if self._grid is None else itertools.count():
            if not self._fill_queue({*known, *reserved}):
                break
            # A sampler of its own for each proposal: what it draws does not depend on restarts.
            seed = derive_seed(self.seed, self.name, made, attempt)
            self.study.sampler = make_sampler(self.sampler, seed, self._teaching_points())
            trial = self.study.ask()
            config = self.make_config(self.family.flat(self._suggest(trial)))
            fingerprint = self.fingerprint_of(config)
            if fingerprint in known or fingerprint in reserved:
                trial.set_user_attr(REPEATS, fingerprint)
                self.study.tell(trial, state=TrialState.FAIL)
                continue
            assign_generation(self.study, trial.number)
            trial.set_user_attr(NAME, self._next_name(names))
            trial.set_user_attr(CONFIG, config.to_flat())
            trial.set_user_attr(FINGERPRINT, fingerprint)  # last: with it, the proposal counts
            self._live[trial.number] = _Live(trial)
            return self._proposal(trial.number, trial.user_attrs)
        return None

    def report(self, number: int, epoch: int, value: float) -> None:
        """Note a running trial's validation metric after an epoch; a second value for an epoch is dropped.

        Optuna shows it as a curve, and takes it for values of a single objective that is maximised; TPE puts what was
        pruned behind all that finished, whatever its curve. Of epochs shorter than REPORT_SECONDS it gets some, the last
        included: each costs a write that is forced to disk, or a transaction.
        """
        if self._has_curves:
            self._live[number].report(epoch, value)

    def tell(self, record: TrialRecord, objective: ObjectiveValues | None) -> None:
        """Tell how a trial ended; finished without an objective counts as failed. Telling it twice does nothing."""
        if (live := self._live.pop(record.number, None)) is not None:
            live.report_newest()
        if record.status == FINISHED and objective is not None:
            self.study.tell(record.number, objective, skip_if_finished=True)
        elif record.status == PRUNED:
            self.study.tell(record.number, state=TrialState.PRUNED, skip_if_finished=True)
        else:
            self.study.tell(record.number, state=TrialState.FAIL, skip_if_finished=True)

    def _made(self) -> tuple[list[str], int]:
        """The names of all that was proposed, and how many draws after the last of them repeated a trial."""
        names, repeats = [], 0
        for trial in self.study.get_trials(deepcopy=False):
            if FINGERPRINT in trial.user_attrs:
                if trial.user_attrs[NAME] not in names:  # else one that is tried again
                    names.append(trial.user_attrs[NAME])
                repeats = 0
            elif REPEATS in trial.user_attrs:
                repeats += 1
        return names, repeats

    def _next_name(self, names: Sequence[str]) -> str:
        """The family's code and the next number, whatever was drawn in vain."""
        return f"{self.family.code}-{max((int(name.rpartition('-')[2]) for name in names), default=0) + 1:03d}"

    def _fill_queue(self, taken: Collection[str]) -> bool:
        """See that the right proposal waits to be asked: a starting point, or the next of the grid that is not taken.

        Starting points are enqueued one by one: one that a crash cut off keeps its place before the others.
        """
        trials = self.study.get_trials(deepcopy=False)
        if any(trial.state == TrialState.WAITING for trial in trials):
            return True
        settled = {trial.user_attrs.get(PUBLISHED) for trial in trials if _SETTLED & trial.user_attrs.keys()}
        for published, values in self.family.starting_points():
            if published not in settled:
                self.study.enqueue_trial(self._known_as(values), user_attrs={PUBLISHED: published})
                return True
        if self._grid is None:
            return True
        for values in self._grid:
            if self.fingerprint_of(self.make_config(self.family.flat(values))) not in taken:
                self.study.enqueue_trial(self._known_as(values))
                return True
        return False

    def _teaching_points(self) -> int:
        """How many starting points the sampler has learned from, or may yet: it waits for none that failed.

        One that repeats another family's trial counts as failed.
        """
        # Of one that was tried again, the last time counts.
        states = {
            trial.user_attrs[PUBLISHED]: trial.state
            for trial in self.study.get_trials(deepcopy=False)
            if PUBLISHED in trial.user_attrs and _SETTLED & trial.user_attrs.keys()
        }
        failed = {published for published, state in states.items() if state == TrialState.FAIL}
        return sum(published not in failed for published, _ in self.family.starting_points())

    def _suggest(self, trial: optuna.trial.Trial) -> dict[str, Any]:
        chosen: dict[str, Any] = dict(self.family.fixed)
        for name, parameter in zip(self._names, self.family.space, strict=True):
            if not parameter.applies(chosen):
                continue
            match parameter:
                case Float():
                    value: Any = trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
                case Int():
                    value = trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
                case Choice():
                    value = trial.suggest_categorical(name, parameter.values)
            chosen[parameter.name] = value
        return chosen

    def _known_as(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Values by Optuna's names; of a parameter that has several, Optuna takes the one that applies."""
        named = zip(self._names, self.family.space, strict=True)
        return {name: values[parameter.name] for name, parameter in named if parameter.name in values}

    def _again(self, frozen: FrozenTrial) -> Proposal:
        # Optuna has no public way to go on with a running trial; its own integrations use the id in this way too.
        trial = optuna.trial.Trial(self.study, frozen._trial_id)
        self._live[frozen.number] = _Live(trial, frozen.intermediate_values)
        return self._proposal(frozen.number, frozen.user_attrs)

    def _proposal(self, number: int, attributes: Mapping[str, Any]) -> Proposal:
        return Proposal(
            name=attributes[NAME],
            family=self.name,
            number=number,
            config=dict(attributes[CONFIG]),
            fingerprint=attributes[FINGERPRINT],
            published=attributes.get(PUBLISHED),
            aliases={},
        )


def _range(parameter: Parameter) -> tuple[Value, ...]:
    return parameter.values if isinstance(parameter, Choice) else (parameter.low, parameter.high, parameter.log)


def optuna_names(space: Sequence[Parameter]) -> list[str]:
    """What Optuna knows each parameter of a space by: it wants one range a name, and two encoders may each have a dropout.

    The parameter's own name where all that share it have the same range, else with what it depends on.
    """

    def is_alike(one: Parameter, other: Parameter) -> bool:
        return type(one) is type(other) and _range(one) == _range(other)

    names = []
    for parameter in space:
        shared = all(is_alike(parameter, other) for other in space if other.name == parameter.name)
        of = " ".join(str(value) for values in parameter.when.values() for value in values)
        names.append(parameter.name if shared else f"{parameter.name} ({of})")
    return names
