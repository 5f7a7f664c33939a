"""A search: families whose parameters Optuna proposes, their published configurations first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nrtune.analysis import open_campaign
from nrtune.analysis.store.records import MANIFEST, TrialRecord, read_manifest
from nrtune.orchestrator.campaign.campaign import CampaignRun, absolute
from nrtune.orchestrator.lifecycle.stopping import EarlyStopping, default_grace
from nrtune.orchestrator.search.allocation import Adaptive, Allocation
from nrtune.orchestrator.search.family_study import Direction, FamilyStudy, Proposer, open_storage, open_study
from nrtune.orchestrator.search.grid import VALUES, Grid
from nrtune.orchestrator.search.objectives import checked_aims
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.settings import Settings
from nrtune.search_spaces import FAMILIES, Family, check_codes, names_by_word, published_by_name, short_form
from nrtune.search_spaces.ablation import BUDGET, around
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.training.config import TrialConfig

ABLATION = "ablation"


class Search(CampaignRun):
    """A checked search, ready to run. Raises UserError."""

    def __init__(self, settings: Settings) -> None:
        if not settings.families:
            raise UserError(f"--families is empty; known: {', '.join(FAMILIES)}")
        if len(set(settings.families)) < len(settings.families):
            raise UserError(f"--families names one family twice: {', '.join(settings.families)}")
        for name in settings.families:
            FAMILIES.get(name)
        super().__init__(settings)
        self.search = settings
        grace = settings.grace_epochs or default_grace(self.epochs)
        if settings.scheduler != "none":
            self.early_stopping = EarlyStopping(grace, settings.reduction_factor, settings.scheduler)
        self.aims = checked_aims(settings.objective, self.data, self.select_on)
        self.optuna_storage = absolute(settings.optuna_storage)
        self.centre = self._centre()
        self._families = {name: self._family(name) for name in settings.families}
        check_codes(self._families)
        for name, family in self._families.items():
            for values in family.representatives():
                self.check(name, family.flat(values), settings.seed)
        if self.optuna_storage is not None:
            open_storage(self.folder, self.optuna_storage)

    @property
    def families(self) -> Sequence[str]:
        """The families asked for."""
        return self.search.families

    def wanted(self, ledger: Ledger) -> dict[str, int]:
        """As many trials of each family as were asked for."""
        return dict.fromkeys(self.families, self.search.trials)

    def allocation(self, ledger: Ledger) -> Allocation:
        """As many trials for each family, or more for those that promise more."""
        if self.search.allocation == "even":
            return super().allocation(ledger)
        return Adaptive(self.wanted(ledger), self.search.min_trials, self.ended(ledger), self._first_objective)

    def typical(self) -> TrialConfig:
        """The first family's first."""
        name, family = next(iter(self._families.items()))
        return self.build(name, family.flat(next(iter(family.representatives()))), self.search.seed)

    def proposers(self, ledger: Ledger) -> dict[str, Proposer]:
        """An Optuna study a family."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = open_storage(self.folder, self.optuna_storage)
        # Studies in a shared database carry the campaign's name and id; in its own journal the family's name will do.
        prefix = f"{ledger.manifest['name']}-{ledger.manifest['id']}/" if self.optuna_storage else ""
        known = (record.family for record in ledger.records.values())
        families = {name: self._family(name) for name in dict.fromkeys(itertools.chain(self.families, known))}
        check_codes(families)
        directions: list[Direction] = ["maximize" if aim.direction == "max" else "minimize" for aim in self.aims]
        return {
            name: FamilyStudy(
                name,
                family,
                open_study(storage, prefix + name, ledger.manifest["id"], directions),
                lambda parameters: self.make_config(parameters, self.search.seed),
                self.data.fingerprint_of,
                self.search.seed,
                self.search.sampler,
            )
            for name, family in families.items()
        }

    def identity(self) -> dict[str, Any]:
        """What any campaign has, and what decides a search's proposals."""
        chosen = {"seed": self.search.seed, "set": dict(self.search.set), "around": self.centre}
        how = {
            "scheduler": self.search.scheduler,
            "sampler": self.search.sampler,
            "objective": list(map(str, self.aims)),
        }
        return super().identity() | chosen | how | {"optuna_storage": self.optuna_storage}

    def notes(self) -> list[str]:
        """What a user should know of the data, and how large the grids are."""
        if self.search.sampler != "grid":
            return super().notes()
        sizes = [f"{Grid(family).size} of {name}" for name, family in self._families.items()]
        return [*super().notes(), f"configurations of the grid, {VALUES} values a number: {', '.join(sizes)}"]

    def parent_parameters(self) -> dict[str, Any]:
        """What MLflow shows of the campaign itself."""
        how = {"scheduler": self.search.scheduler, "sampler": self.search.sampler}
        return super().parent_parameters() | {
            "seed": self.search.seed,
            **how,
            "objective": ",".join(map(str, self.aims)),
        }

    def _first_objective(self, record: TrialRecord) -> float | None:
        """The first objective, larger is better; None where the trial does not have all of them."""
        found = self.objective(record)
        if found is None:
            return None
        value = found[0] if isinstance(found, tuple) else found
        return value if self.aims[0].direction == "max" else -value

    def _family(self, name: str) -> Family:
        family = FAMILIES.get(name)
        if name == ABLATION and self.centre is not None:
            try:
                family = around(_title(str(self.search.around)), self.centre, map(FAMILIES.get, FAMILIES))
            except ValueError as error:
                raise UserError(f"--around {self.search.around}: {error}") from error
        for key in self.search.set:
            if key in BUDGET:
                raise UserError(f"--set {key}: belongs to the whole campaign; give --{key}")
        return family.override(self.search.set) if self.search.set else family

    def _stored_settings(self) -> dict[str, Any]:
        """What --resume goes on with, from whatever folder it is called."""
        stored = super()._stored_settings()
        return stored | ({"around": _whole(stored["around"])} if "around" in stored else {})

    def _centre(self) -> dict[str, Any] | None:
        """The flat configuration that --around names; once the campaign has begun, it has one of its own."""
        where = self.search.around
        if where is None:
            return None
        if ABLATION not in self.search.families:
            raise UserError(f"--around {where}: is for the family {ABLATION}; add it to --families")
        try:
            return self._found_centre(where)
        except UserError:
            if (self.folder / MANIFEST).exists():
                manifest = read_manifest(self.folder)
                kept: dict[str, Any] | None = manifest["identity"].get("around")
                if kept is not None and manifest["settings"].get("around") in (where, _whole(where)):
                    return kept
            raise

    def _found_centre(self, where: str) -> dict[str, Any]:
        """The configuration of a published name, or of a trial in a campaign's folder under any of its names."""
        meanings = names_by_word()
        if where in meanings:
            if len(meanings[where]) > 1:
                raise UserError(
                    f"--around {where}: stands for {len(meanings[where])} configurations; name one, such as"
                    f" {short_form(meanings[where][0])}"
                )
            family, found = published_by_name()[meanings[where][0]]
            flat = FAMILIES.get(family).flat(FAMILIES.get(family).complete(found.parameters))
            return self.check(family, flat, found.seed).to_flat()
        folder, name = Path(where).parent, Path(where).name
        if not folder.is_dir() or folder == Path():
            raise UserError(
                f"--around {where}: is neither a published name nor DIR/TRIAL{suggest(where, meanings, '')}"
            )
        trials = {name: record for record in open_campaign(folder).records() for name in (record.name, *record.also)}
        trials = {short_form(name): record for name, record in trials.items()} | trials
        if name not in trials:
            raise UserError(f"--around {where}: {folder} has no trial {name!r}{suggest(name, trials, '')}")
        return dict(trials[name].config)


def _whole(where: str) -> str:
    """DIR/TRIAL as it can be read in any folder; a published name as it is."""
    return where if where in names_by_word() else str(Path(where).resolve())


def _title(where: str) -> str:
    """What --around names in a few words, the same in whatever folder the search is called: RS3_bilstm_rs, study/RS-002."""
    meanings = names_by_word()
    return meanings[where][0] if where in meanings else "/".join(Path(where).resolve().parts[-2:])
