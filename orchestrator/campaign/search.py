"""A search: families whose parameters Optuna proposes, their published configurations first."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.selection.pareto import parse_objectives
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.wording import listed
from nrtune.orchestrator.campaign.budget import sampler_note, stopping_note
from nrtune.orchestrator.campaign.checks import (
    audited,
    check_places,
    check_tracking_uri,
    check_use_cases,
    choose_selection,
    known_use_cases,
    read_data,
)
from nrtune.orchestrator.campaign.confirmation import Confirmation, plan_of, share_of, trainings, why_not
from nrtune.orchestrator.campaign.families import family_of, find_centre, searched_families, whole
from nrtune.orchestrator.campaign.plan import Plan, known_identity
from nrtune.orchestrator.campaign.recipe import Recipe, check_data, recipe_of
from nrtune.orchestrator.campaign.warm_start import start_notes
from nrtune.orchestrator.lifecycle.rules import RULES, EarlyStopping, default_grace
from nrtune.orchestrator.search.allocation import Adaptive, Allocation
from nrtune.orchestrator.search.family_study import FINGERPRINT, FamilyStudy
from nrtune.orchestrator.search.grid import VALUES, Grid
from nrtune.orchestrator.search.objectives import checked_objectives
from nrtune.orchestrator.search.optuna_storage import Direction, copy_study, open_storage, open_study
from nrtune.orchestrator.search.proposals import Proposer
from nrtune.orchestrator.state.copies import ids_of
from nrtune.orchestrator.state.identity import SPACE, check_settings
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.locations import OPTUNA_VARIABLE, absolute, chosen_tracking_uri, with_password
from nrtune.orchestrator.state.settings import Settings
from nrtune.search_spaces import FAMILIES, Family, check_codes, keeps_encoder
from nrtune.trainables.core.errors import UserError

NO_EARLY_STOPPING = "none"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Search(Plan):
    """A checked search.

    centre: the flat configuration that --around names, or None. searched: the families asked for, by name. start: what
    trials start from, in sentences.
    """

    settings: Settings
    centre: Mapping[str, Any] | None
    searched: Mapping[str, Family]
    start: Sequence[str]
    optuna_storage: str | None

    @property
    def families(self) -> Sequence[str]:
        """The families asked for."""
        return self.settings.families

    @property
    def addresses(self) -> dict[str, str | None]:
        """Those of every campaign, and where Optuna's studies are."""
        return {**super().addresses, "optuna_storage": self.optuna_storage}

    def wanted(self, ledger: Ledger) -> dict[str, int]:
        """As many trials of each family as were asked for."""
        return dict.fromkeys(self.families, self.settings.trials)

    def allocation(self, ledger: Ledger) -> Allocation:
        """As many trials for each family, or more for those that promise more."""
        if not self.settings.is_adaptive:
            return super().allocation(ledger)
        wanted, points = self.wanted(ledger), {BASELINE: len(self.settings.encoders_asked)}  # the first trial on each
        return Adaptive(wanted, self.settings.min_trials, self.ended(ledger), self._first_objective, points)

    def proposers(self, ledger: Ledger) -> dict[str, Proposer]:
        """An Optuna study a family."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = open_storage(self.folder, self.optuna_storage)
        # Studies in a shared database carry the campaign's name and id; in its own journal the family's name will do.
        *before, number = ids_of(ledger.manifest)
        prefix = self._prefix(ledger, number)
        known = (record.family for record in ledger.records.values())
        families = {
            name: family_of(self.settings, self.centre, name, self.recipe.start)
            for name in dict.fromkeys(itertools.chain(self.families, known))
        }
        check_codes(families)
        if self.optuna_storage and before:
            for name in families:
                copy_study(
                    storage,
                    self._prefix(ledger, before[-1]) + name,
                    prefix + name,
                    lambda trial: trial.user_attrs.get(FINGERPRINT) in {None, *ledger.everything()},
                )
        directions: list[Direction] = [
            "maximize" if objective.direction == "max" else "minimize" for objective in self.objectives
        ]
        identity = ledger.manifest["identity"]
        shown = {
            key: identity[key]
            for key in ("data", "preset", "epochs", "seed", "select_on", "sampler")
            if key in identity
        }
        return {
            name: FamilyStudy(
                name,
                family,
                open_study(
                    storage,
                    prefix + name,
                    number,
                    directions,
                    before,
                    metrics=[objective.metric for objective in self.objectives],
                    about={"name": ledger.manifest["name"], "family": name, **shown},
                ),
                lambda parameters: self.recipe.config(parameters, self.settings.seed),
                self.data.fingerprint_of,
                self.settings.seed,
                self.settings.sampler,
                ledger.retried(name),
            )
            for name, family in families.items()
        }

    def _prefix(self, ledger: Ledger, number: str) -> str:
        return f"{ledger.manifest['name']}-{number}/" if self.optuna_storage else ""

    def confirmation(self, ledger: Ledger) -> Confirmation | None:
        """Fresh seeds of the baseline and of the finalists, from a share of the budget, where that can tell something."""
        if not trainings(self.settings) or why_not(self.settings, self.select_on) is not None:
            return None
        return Confirmation(self.settings, self.select_on, self.data, self.use_cases, ledger)

    def identity(self) -> dict[str, Any]:
        """What any campaign has, and what decides a search's proposals."""
        return {
            **super().identity(),
            **_chosen(self.settings, self.recipe, self.centre),
            "objective": list(map(str, self.objectives)),
            SPACE: {name: family.described() for name, family in self.searched.items()},
            "optuna_storage": self.optuna_storage,
        }

    def notes(self) -> list[str]:
        """What a user should know of the data, of encoders and grids, of what is trained, and what that is too little for."""
        notes = [*super().notes(), _encoders_note(self.settings), *self.start]
        if self.settings.sampler == "grid":
            sizes = [f"{Grid(family).size} of {name}" for name, family in self.searched.items()]
            notes.append(f"configurations of the grid, {VALUES} values a number: {', '.join(sizes)}")
        points = {name: len(family.starting_points()) for name, family in self.searched.items()}
        notes.append(sampler_note(self.settings, points) or "")
        if self.early_stopping is not None:
            notes.append(stopping_note(self.settings, self.epochs, self.early_stopping, points) or "")
        notes += [plan_of(self.settings, self.select_on)] if share_of(self.settings) else []
        return [note for note in notes if note]

    def _first_objective(self, record: TrialRecord) -> float | None:
        """The first objective, larger is better; None where the trial does not have all of them."""
        found = self.evaluate(record)
        if found is None:
            return None
        value = found[0] if isinstance(found, tuple) else found
        return value if self.objectives[0].direction == "max" else -value

    def stored_settings(self) -> dict[str, Any]:
        """What --resume goes on with, from whatever folder it is called."""
        stored = super().stored_settings()
        return stored | ({"around": whole(stored["around"])} if "around" in stored else {})


def _chosen(settings: Settings, recipe: Recipe, centre: Mapping[str, Any] | None) -> dict[str, Any]:
    """What of a search's identity is known before its data are read."""
    return {
        **known_identity(settings, recipe),
        **recipe.options,
        "seed": settings.seed,
        "encoders": list(settings.encoders_asked),
        "set": dict(settings.set),
        "around": centre,
        "scheduler": settings.scheduler,
        "grace_epochs": settings.grace_epochs,
        "reduction_factor": settings.reduction_factor,
        "sampler": settings.sampler,
        "starting_points": settings.starts_from,
    }


def prepare_search(settings: Settings) -> Search:
    """Check a search's settings, read its data, and see that each family can be trained on them. Raises UserError."""
    check_places(settings)
    recipe = recipe_of(settings)
    early_stopping = _early_stopping(settings, recipe.epochs)
    use_cases = known_use_cases(settings.use_cases)
    check_use_cases(settings.use_case, use_cases)
    centre = find_centre(settings, recipe)
    searched = searched_families(settings, centre, recipe.start)
    # Of each family: one configuration a combination of its choices.
    configs = [
        (name, recipe.config_of(name, family.flat(values), settings.seed))
        for name, family in searched.items()
        for values in family.representatives()
    ]
    assert settings.out is not None
    folder, storage = settings.out.resolve(), with_password(absolute(settings.optuna_storage), OPTUNA_VARIABLE)
    uri = chosen_tracking_uri(settings.tracking_uri, folder)
    parse_objectives(settings.objective, "--objective")
    check_settings(folder, _chosen(settings, recipe, centre))
    data = read_data(settings, recipe)
    findings = audited(settings, data)
    select_on = choose_selection(settings, data)
    objectives = checked_objectives(settings.objective, data, select_on)
    for name, config in configs:
        check_data(data, name, config)
    start = start_notes(recipe.start, settings.freeze, configs, data.dataset)
    check_tracking_uri(settings, uri)
    if storage is not None:
        open_storage(folder, storage)
    return Search(
        settings=settings,
        folder=folder,
        data=data,
        epochs=recipe.epochs,
        typical=configs[0][1],
        early_stopping=early_stopping,
        recipe=recipe,
        select_on=select_on,
        objectives=objectives,
        tracking_uri=uri,
        findings=findings,
        centre=centre,
        searched=searched,
        start=start,
        use_cases=use_cases,
        optuna_storage=storage,
    )


def _encoders_note(settings: Settings) -> str:
    """What the families are on, which an option decides; "" where each is as the study had it."""
    if not settings.encoders_asked:
        return ""
    own = [name for name in settings.families if keeps_encoder(FAMILIES.get(name))]
    kept = f"; {listed(own)} {'keeps its' if len(own) == 1 else 'keep their'} own" if own else ""
    return f"families are on {listed(settings.encoders_asked)} (--encoders){kept}"


def _early_stopping(settings: Settings, epochs: int) -> EarlyStopping | None:
    if settings.scheduler == NO_EARLY_STOPPING:
        return None
    if settings.scheduler not in RULES:
        known = ", ".join(map(repr, RULES))
        raise UserError(f"--scheduler: input should be {known} or '{NO_EARLY_STOPPING}', not {settings.scheduler!r}")
    grace = settings.grace_epochs or default_grace(epochs)
    return EarlyStopping(grace, settings.reduction_factor, settings.scheduler)
