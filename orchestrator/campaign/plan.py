"""A campaign that was checked: everything that can be wrong has been found before anything starts or is written."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from nrtune.analysis.selection.pareto import Objective
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase
from nrtune.analysis.store.audit import audit_record
from nrtune.analysis.store.records import TrialRecord
from nrtune.orchestrator.campaign.checks import absolute_paths
from nrtune.orchestrator.campaign.confirmation import Confirmation
from nrtune.orchestrator.campaign.recipe import Recipe
from nrtune.orchestrator.execution.job import Job
from nrtune.orchestrator.search.allocation import Allocation, Even
from nrtune.orchestrator.search.objectives import objective_values
from nrtune.orchestrator.search.proposals import ObjectiveValues, Proposer
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.settings import RunSettings
from nrtune.orchestrator.state.software import software
from nrtune.trainables.data.audit import AUDIT_VERSION
from nrtune.trainables.data.benchmarks import BENCHMARKS
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.evaluation.covered import uneven_means
from nrtune.trainables.training.config import FIRST
from nrtune.trainables.training.fingerprint import RECIPE_VERSION


def known_identity(settings: RunSettings, recipe: Recipe) -> dict[str, Any]:
    """What of a campaign's identity is known before its data are read."""
    return {
        "command": settings.command,
        "recipe": RECIPE_VERSION,
        "preset": recipe.preset,
        "epochs": recipe.epochs,
        "precision": recipe.precision,
        "freeze": FIRST if recipe.freeze else None,
        "tracker": settings.tracker,
    }


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Plan(Job, ABC):
    """A job and what it proposes; what that is, is up to `Search`, `Study` and `Replication`.

    recipe: what all its trials have. select_on: what winners are selected on. objectives: what the search makes large or
    small. tracking_uri: None for a store in the folder. findings: of the audit of the data. use_cases: what winners may be
    picked for, a user's own among them.
    """

    recipe: Recipe
    select_on: str
    objectives: tuple[Objective, ...]
    tracking_uri: str | None
    findings: tuple[Finding, ...]
    use_cases: Mapping[str, UseCase] = dataclasses.field(default_factory=lambda: USE_CASES)

    @property
    @abstractmethod
    def families(self) -> Sequence[str]:
        """The families that this run is about."""

    @abstractmethod
    def wanted(self, ledger: Ledger) -> dict[str, int]:
        """How many trials of each of these families shall have ended when the campaign is done."""

    @abstractmethod
    def proposers(self, ledger: Ledger) -> dict[str, Proposer]:
        """What proposes the trials of each family, those of families included that the campaign has trials of."""

    def allocation(self, ledger: Ledger) -> Allocation:
        """Which family gets the next trial."""
        return Even(self.wanted(ledger))

    def confirmation(self, ledger: Ledger) -> Confirmation | None:
        """What trains fresh seeds beside the trials and after them; None where the trials are all."""
        return None

    def ended(self, ledger: Ledger) -> Mapping[str, TrialRecord]:
        """What has ended of the trials that this run is about, by fingerprint: replicates are no trials of a search."""
        return ledger.records

    def evaluate(self, record: TrialRecord) -> ObjectiveValues | None:
        """A trial's objective values, on what the search may look at; None where it lacks one."""
        return objective_values(self.objectives, record.metrics)

    def identity(self) -> dict[str, Any]:
        """The settings that decide a campaign's numbers: a folder holds one campaign."""
        return {
            **known_identity(self.settings, self.recipe),
            "data": self.data.dataset.digest,
            **dict.fromkeys(BENCHMARKS),
            **self.data.digests,
            "warm_start": None if self.recipe.start is None else self.recipe.start.digest,
            "select_on": self.select_on,
            "tracking_uri": self.tracking_uri,
        }

    @property
    def addresses(self) -> dict[str, str | None]:
        """What the campaign reaches outside of its folder, by the names of settings: all of it was given by the user."""
        return {"address": self.settings.address, "tracking_uri": self.tracking_uri}

    def about(self) -> dict[str, Any]:
        """What the manifest says beside the identity."""
        dataset, benchmarks = self.data.dataset, self.data.benchmarks
        splits = {split: len(dataset.rows(split)) for split in ("train", "val", "test")}
        paths = self.settings.benchmarks()
        return {
            "settings": self.stored_settings(),
            "software": software(),
            "data": {"name": dataset.name, "path": ",".join(map(str, self.settings.data_files())),
                     "length": dataset.length, **splits,
                     "noise_measured": dataset.aleatoric_std is not None, "notes": list(dataset.notes)},
            "audit": audit_record(self.findings, self.settings.accept, AUDIT_VERSION),
            "benchmarks": [variants.benchmark for variants in benchmarks],
            **{
                variants.benchmark: {
                    "path": str(paths[variants.benchmark]), "title": variants.title, "assembly": variants.assembly,
                    "cell_line": variants.cell_line, "matched": list(variants.matched),
                    "loci": variants.matched_loci,
                    "counts": variants.counts().to_dict("records"),
                }
                for variants in benchmarks
            },
        }  # fmt: skip

    def notes(self) -> list[str]:
        """What a user should know of the data before they are trained on."""
        dataset, benchmarks = self.data.dataset, self.data.benchmarks
        notes = [f"{dataset.name}: {note}" for note in dataset.notes]
        cagi5 = self.data.benchmark("cagi5")
        if cagi5 is not None and self.select_on == "val" and self.settings.select_on is None:
            notes.append(f"{cagi5.name}: too few release variants to select on; winners are selected on validation")
        for variants in benchmarks:
            on = f" ({variants.assembly})" if variants.assembly else ""
            means = f"{len(variants)} variants{on}; means are over {', '.join(variants.matched)}"
            notes += [
                f"{variants.name}: {note}"
                for note in (means, *uneven_means(variants.counts(), variants.strata), *variants.notes)
            ]
        return [*notes, *(f"{one.severity} {one.id}: {one}" for one in self.findings if one.severity != "note")]

    def stored_settings(self) -> dict[str, Any]:
        """What --resume goes on with, from whatever folder it is called."""
        said = self.settings.model_dump(mode="json", exclude={"resume", "tracking_uri"}, exclude_none=True)
        # Not as it was said: in a copy of the folder, the path of its own database is that of the copy.
        return absolute_paths(said) | ({} if self.tracking_uri is None else {"tracking_uri": self.tracking_uri})
