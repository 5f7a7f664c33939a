"""The finalists again, with fresh seeds: one training may be luck, several are not."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nrtune.analysis.selection.baselines import best_baselines
from nrtune.analysis.selection.candidates import ENCODER
from nrtune.analysis.selection.pareto import objectives_of
from nrtune.analysis.selection.use_cases import asked_of
from nrtune.analysis.selection.winners import finalists, find_winner
from nrtune.analysis.sources.open import open_folder
from nrtune.analysis.store.records import Proposal, TrialRecord, benchmarks_of
from nrtune.analysis.store.table import table_of
from nrtune.analysis.wording import count
from nrtune.orchestrator.campaign.checks import (
    audited,
    check_places,
    check_tracking_uri,
    check_use_cases,
    choose_selection,
    known_use_cases,
    read_data,
)
from nrtune.orchestrator.campaign.plan import Plan
from nrtune.orchestrator.campaign.recipe import Recipe, recipe_of
from nrtune.orchestrator.campaign.replicates import check_code, fresh_seeds, with_seed
from nrtune.orchestrator.lifecycle.time_left import duration
from nrtune.orchestrator.search.proposals import FixedProposals, Proposer
from nrtune.orchestrator.state.ledger import Ledger, is_running
from nrtune.orchestrator.state.locations import chosen_tracking_uri
from nrtune.orchestrator.state.settings import ReplicateSettings, StudySettings
from nrtune.search_spaces import published_by_name
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.fingerprint import RECIPE_VERSION
from nrtune.trainables.training.training_data import TrainingData


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Replication(Plan):
    """A checked plan to train the finalists of a campaign's use cases, and its baseline, with fresh seeds.

    manifest, trials: of the campaign. remarks: on what is left out. replicates: by fingerprint, seed by seed, so that
    whenever they are cut off all have about as many.
    """

    manifest: Mapping[str, Any]
    trials: Sequence[TrialRecord]
    baselines: Sequence[TrialRecord]
    finalists: Sequence[TrialRecord]
    remarks: Sequence[str]
    seeds: Sequence[int]
    replicates: Mapping[str, Proposal]

    @property
    def families(self) -> Sequence[str]:
        """The families of what is replicated, the baseline's first."""
        return tuple(dict.fromkeys(proposal.family for proposal in self.replicates.values()))

    def ended(self, ledger: Ledger) -> Mapping[str, TrialRecord]:
        """What has ended of the replicates that are asked for."""
        return {found: record for found, record in ledger.replicates.items() if found in self.replicates}

    def wanted(self, ledger: Ledger) -> dict[str, int]:
        """The replicates of each family."""
        return dict(Counter(proposal.family for proposal in self.replicates.values()))

    def proposers(self, ledger: Ledger) -> dict[str, Proposer]:
        """The replicates of each family, seed by seed."""
        replicates = self.replicates.values()
        return {name: FixedProposals(name, [p for p in replicates if p.family == name]) for name in self.families}

    def identity(self) -> dict[str, Any]:
        """The campaign's own."""
        return dict(self.manifest["identity"])

    def notes(self) -> list[str]:
        """What a user should know of the data, of what is not replicated, and of the plan."""
        return [*super().notes(), *self.remarks, self.summary()]

    def summary(self) -> str:
        """One sentence: how many trainings of what, and what they will take."""
        ended = {record.fingerprint for record in open_folder(self.folder).records()}
        seconds = {record.name: record.seconds for record in self.trials}
        left = [proposal for proposal in self.replicates.values() if proposal.fingerprint not in ended]
        needed = sum(seconds[str(proposal.replicate_of)] for proposal in left)
        of = [record.name for record in self.baselines]
        baseline = f" and the baseline{'s' * (len(of) > 1)} {', '.join(of)}" if of else ""
        to_do = "nothing to do"
        if left:
            done = len(self.replicates) - len(left)
            to_do = (f"{done} done, " if done else "") + f"about {duration(needed)} of training to do"
        return (
            f"replicating {count(len(self.finalists), 'finalist')}{baseline} with"
            f" seed{'s' * (len(self.seeds) > 1)} {', '.join(map(str, self.seeds))}:"
            f" {count(len(self.replicates), 'training')}, {to_do}"
        )


def prepare_replication(settings: ReplicateSettings) -> Replication:
    """Choose what is replicated, and read the campaign's data again.

    Raises UserError, also where data or code are not what the campaign was trained with.
    """
    assert settings.out is not None
    campaign = open_folder(settings.out)
    manifest = campaign.manifest
    recipe = manifest["identity"]["recipe"]
    if recipe != RECIPE_VERSION:
        raise UserError(
            f"{settings.out}: was trained by another version of nrtune (recipe {recipe}, not {RECIPE_VERSION}),"
            " whose numbers can't be compared; replicate with that version"
        )
    if is_running(settings.out):
        raise UserError(f"{settings.out}: another command is writing to it; wait for it to end")
    records = campaign.records()
    trials = [record for record in records if record.replicate_of is None]
    baselines, finalists, remarks = choose(records, settings, settings.select_on or campaign.select_on)
    check_places(settings)
    uri = chosen_tracking_uri(settings.tracking_uri, settings.out)
    made = recipe_of(settings)
    data = _same_data(settings, made, manifest)
    select_on = choose_selection(settings, data)
    check_tracking_uri(settings, uri)
    seeds = _fresh_seeds(settings.seeds, trials, manifest)
    originals = [*baselines, *finalists]
    check_code(originals, data)
    replicates = {p.fingerprint: p for seed in seeds for record in originals for p in [with_seed(record, seed, data)]}
    return Replication(
        settings=settings,
        folder=settings.out.resolve(),
        data=data,
        epochs=made.epochs,
        typical=TrialConfig.from_flat(next(iter(replicates.values())).config),
        recipe=made,
        select_on=select_on,
        objectives=objectives_of(campaign.objectives, campaign.select_on),
        tracking_uri=uri,
        findings=audited(settings, data),
        use_cases=known_use_cases(settings.use_cases),
        manifest=manifest,
        trials=trials,
        baselines=baselines,
        finalists=finalists,
        remarks=remarks,
        seeds=seeds,
        replicates=replicates,
    )


def _same_data(settings: ReplicateSettings, recipe: Recipe, manifest: Mapping[str, Any]) -> TrainingData:
    """Read the campaign's data again. Raises UserError where they have changed."""
    data, identity = read_data(settings, recipe), manifest["identity"]
    digests = {"data": data.dataset.digest, **{name: data.digests.get(name) for name in benchmarks_of(manifest)}}
    paths: dict[str, str | Path] = {"data": ",".join(map(str, settings.data_files())), **settings.benchmarks()}
    if data.start is not None:
        digests["warm_start"], paths["warm_start"] = data.start.digest, data.start.path
    for name, digest in digests.items():
        if digest != identity.get(name):
            raise UserError(
                f"{paths.get(name, name)}: is not what {settings.out} was trained and scored on any more;"
                " put the file of then back"
            )
    return data


def _fresh_seeds(count: int, trials: Iterable[TrialRecord], manifest: Mapping[str, Any]) -> list[int]:
    """The smallest that no trial of the campaign has, nor a configuration that a study may yet train."""
    taken = {record.config["seed"] for record in trials}
    if manifest["identity"]["command"] == StudySettings.command:
        taken |= {published.seed for _, published in published_by_name().values()}
    return fresh_seeds(count, taken)


def choose(
    records: Sequence[TrialRecord], settings: ReplicateSettings, select_on: str
) -> tuple[list[TrialRecord], list[TrialRecord], list[str]]:
    """The baselines, the finalists of all use cases asked for, and a remark on each that is left out.

    Where some were replicated before, winner and baseline by their means are among them: what `nrtune best` names gets more
    seeds. Raises UserError for an unknown use case and where nothing is left.
    """
    use_cases = known_use_cases(settings.use_cases)
    check_use_cases(settings.use_case, use_cases)
    trials = [record for record in records if record.replicate_of is None]
    table, with_replicates = table_of(trials), table_of(records)
    by_name = {record.name: record for record in trials}
    baselines: list[str] = []
    chosen: list[str] = []
    remarks: list[str] = []
    for use_case in settings.use_case or asked_of(table, use_cases):
        try:
            best = finalists(table, use_case, select_on, settings.top, use_cases)
            best.append(find_winner(with_replicates, use_case, select_on, use_cases).trial)
            compared = [best_baselines(of, use_case, select_on, use_cases) for of in (table, with_replicates)]
        except UserError as error:
            remarks.append(str(error))
        else:
            chosen += best
            # On the encoder of each, as any of them may win; the best of all where there is none.
            encoders = dict.fromkeys(by_name[name].config.get(ENCODER) for name in best)
            baselines += [
                of.get(str(encoder), next(iter(of.values()))) for of in compared if of for encoder in encoders
            ]
    if not chosen:
        raise UserError(f"{settings.out}: there is nothing to replicate ({remarks[0]})")
    distinct: dict[str, str] = {}
    for name in dict.fromkeys([*baselines, *chosen]):
        first = distinct.setdefault(_but_seed(by_name[name]), name)
        if first != name:
            remarks.append(f"{name} is {first} with another seed: both are replicated as {first}")
    kept = [by_name[name] for name in distinct.values()]
    is_baseline = set(baselines)
    return (
        [record for record in kept if record.name in is_baseline],
        [record for record in kept if record.name not in is_baseline],
        remarks,
    )


def _but_seed(record: TrialRecord) -> str:
    return json.dumps({**record.config, "seed": None}, sort_keys=True)
