"""What proposes configurations to a benchmark of searches: nrtune's own studies and allocation, plain TPE, random search."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, Protocol

import optuna
from surrogate import Point, World, drawn, point_of

from nrtune.analysis.store.records import FINISHED, PRUNED, Proposal, TrialRecord
from nrtune.orchestrator.search.allocation import Adaptive, Even
from nrtune.orchestrator.search.family_study import FamilyStudy
from nrtune.orchestrator.search.optuna_storage import open_study
from nrtune.search_spaces import Choice, Float, Int, Value, first_on_each_encoder
from nrtune.trainables.core.randomness import derive_generator

OBJECTIVE = "cagi5/release/spearman/all/mean"


class Trial(NamedTuple):
    """A training of a search that ended. value: what the release part showed at its last epoch."""

    point: Point
    value: float
    epochs: int
    stopped: bool


class Strategy(Protocol):
    """Proposes configurations, and learns how their trainings ended."""

    def ask(self) -> tuple[Point, bool]:
        """The next configuration, and whether it may be stopped."""

    def tell(self, trial: Trial) -> None:
        """How the training of what was asked last ended."""


class Flat(dict[str, Value]):
    """A trial's flat parameters; a TrialConfig, which checks them, would take as long as all else."""

    def to_flat(self) -> dict[str, Value]:
        """As of a TrialConfig."""
        return dict(self)

    def fingerprint(self) -> str:
        """Alike for equal parameters."""
        return repr(sorted(self.items()))


class Nrtune:
    """nrtune's own proposals: a study a family, its starting points, and the allocation between them. trials: of a family."""

    def __init__(self, world: World, allocation: str, trials: int) -> None:
        self.world, self.records = world, dict[str, TrialRecord]()
        is_adaptive = allocation == "adaptive"
        storage = optuna.storages.InMemoryStorage()
        self.studies = [
            FamilyStudy(
                name,
                first_on_each_encoder(family) if is_adaptive else family,
                open_study(storage, name, "regret"),
                Flat,
                Flat.fingerprint,
                world.seed,
            )
            for name, family in world.families.items()
        ]
        wanted = dict.fromkeys(world.families, trials)
        self.allocation: Even | Adaptive = Even(wanted)
        if is_adaptive:
            self.allocation = Adaptive(wanted, 3, self.records, lambda record: record.metrics[OBJECTIVE])
        self.asked: tuple[FamilyStudy, Proposal] | None = None

    def ask(self) -> tuple[Point, bool]:
        """A family's next; starting points are not stopped."""
        study = self.allocation.choose(self.studies, Counter(record.family for record in self.records.values()))
        assert isinstance(study, FamilyStudy)
        proposal = study.propose(self.records)
        assert proposal is not None
        self.asked = study, proposal
        values = study.study.get_trials(deepcopy=False)[proposal.number].params
        return Point(study.name, dict(values)), proposal.published is None

    def tell(self, trial: Trial) -> None:
        """As a search tells it."""
        assert self.asked is not None
        study, proposal = self.asked
        status, metrics = PRUNED if trial.stopped else FINISHED, {OBJECTIVE: trial.value}
        record = TrialRecord(
            proposal=proposal,
            status=status,
            metrics=metrics,
            epochs_trained=trial.epochs,
            seconds=0,
            started="",
            ended="",
        )
        self.records[proposal.fingerprint] = record
        study.report(proposal.number, trial.epochs, trial.value)
        study.tell(record, trial.value)


class JointTPE:
    """Optuna's TPE as it comes, over one space in which the family is a choice; no starting points."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=world.seed))
        self.trial: optuna.trial.Trial | None = None

    def ask(self) -> tuple[Point, bool]:
        """Parameters have their family before their name: their ranges, and what is good, differ."""
        self.trial = trial = self.study.ask()
        name = trial.suggest_categorical("family", list(self.world.families))
        family = self.world.families[name]
        chosen: dict[str, Value] = {}
        for parameter in family.space:
            if parameter.applies({**family.fixed, **chosen}):
                key = f"{name}/{parameter.name}"
                match parameter:
                    case Float():
                        value: Value = trial.suggest_float(key, parameter.low, parameter.high, log=parameter.log)
                    case Int():
                        value = trial.suggest_int(key, parameter.low, parameter.high, log=parameter.log)
                    case Choice():
                        value = trial.suggest_categorical(key, parameter.values)
                chosen[parameter.name] = value
        return Point(name, chosen), True

    def tell(self, trial: Trial) -> None:
        """As Optuna has it of a pruned trial, too."""
        assert self.trial is not None
        if trial.stopped:
            self.trial.report(trial.value, trial.epochs)
            self.study.tell(self.trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self.study.tell(self.trial, trial.value)


class Random:
    """A family by even chance, and its parameters uniformly."""

    def __init__(self, world: World) -> None:
        self.world, self.generator = world, derive_generator("random", world.seed)

    def ask(self) -> tuple[Point, bool]:
        """One more."""
        name = str(self.generator.choice(list(self.world.families)))
        return point_of(name, drawn(self.world.families[name], 1, self.generator)), True

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""
