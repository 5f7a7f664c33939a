"""The study again: every published configuration, under its name and with its seed, trained to its end."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from nrtune.analysis.selection.pareto import default_objectives
from nrtune.analysis.store.records import Proposal
from nrtune.orchestrator.campaign.checks import audited, check_places, check_tracking_uri, choose_selection, read_data
from nrtune.orchestrator.campaign.plan import Plan, known_identity
from nrtune.orchestrator.campaign.recipe import Recipe, check_data, recipe_of
from nrtune.orchestrator.campaign.warm_start import start_notes
from nrtune.orchestrator.search.proposals import FixedProposals, Proposer
from nrtune.orchestrator.state.identity import check_settings
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.locations import chosen_tracking_uri
from nrtune.orchestrator.state.settings import StudySettings
from nrtune.search_spaces import FAMILIES, names_by_word, published_by_name
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.training_data import TrainingData


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Study(Plan):
    """Checked published configurations; those of one fingerprint are trained once, under the name that comes first.

    chosen: the proposals asked for, by fingerprint. start: what trials start from, in sentences.
    """

    chosen: Mapping[str, Proposal]
    start: Sequence[str]

    @property
    def families(self) -> Sequence[str]:
        """The families of the configurations asked for."""
        return tuple(dict.fromkeys(proposal.family for proposal in self.chosen.values()))

    def notes(self) -> list[str]:
        """What a user should know of the data, and of what trials start from."""
        return [*super().notes(), *self.start]

    def wanted(self, ledger: Ledger) -> dict[str, int]:
        """What has ended of each family, and what was asked for and has not."""
        missing = Counter(p.family for fingerprint, p in self.chosen.items() if fingerprint not in ledger.records)
        ended = Counter(record.family for record in ledger.records.values())
        return {family: ended[family] + missing[family] for family in self.families}

    def proposers(self, ledger: Ledger) -> dict[str, Proposer]:
        """The published configurations of each family."""
        known = [*self.families, *(record.family for record in ledger.records.values())]
        chosen = self.chosen.values()
        return {name: FixedProposals(name, [p for p in chosen if p.family == name]) for name in dict.fromkeys(known)}


def prepare_study(settings: StudySettings) -> Study:
    """Check a study's settings, read its data, and see that each configuration asked for can be trained. Raises UserError."""
    check_places(settings)
    names, recipe = chosen_names(settings.only), recipe_of(settings)
    configs = _configs(recipe)
    assert settings.out is not None
    folder, uri = settings.out.resolve(), chosen_tracking_uri(settings.tracking_uri, settings.out)
    check_settings(folder, known_identity(settings, recipe))
    data = read_data(settings, recipe)
    findings = audited(settings, data)
    select_on = choose_selection(settings, data)
    for name in names:
        check_data(data, *configs[name])
    start = start_notes(recipe.start, settings.freeze, [configs[name] for name in sorted(names)], data.dataset)
    check_tracking_uri(settings, uri)
    proposals = _proposals(configs, data)
    chosen = {fingerprint: p for fingerprint, p in proposals.items() if names & {p.name, *p.aliases}}
    return Study(
        settings=settings,
        folder=folder,
        data=data,
        epochs=recipe.epochs,
        typical=TrialConfig.from_flat(next(iter(chosen.values())).config),
        recipe=recipe,
        select_on=select_on,
        objectives=default_objectives(select_on),
        tracking_uri=uri,
        findings=findings,
        chosen=chosen,
        start=start,
    )


def _configs(recipe: Recipe) -> dict[str, tuple[str, TrialConfig]]:
    """Family and configuration of every published name."""
    found = {}
    for name, (family, published) in published_by_name().items():
        known = FAMILIES.get(family)
        flat = known.flat(known.complete(published.parameters))
        found[name] = family, recipe.config_of(family, flat, published.seed)
    return found


def _proposals(configs: Mapping[str, tuple[str, TrialConfig]], data: TrainingData) -> dict[str, Proposal]:
    """Every published configuration, by fingerprint; one that is there already under another name is added to it.

    All of them, because a name of one that was not asked for may stand for one that was.
    """
    found: dict[str, Proposal] = {}
    for number, (name, (family, config)) in enumerate(configs.items()):
        fingerprint = data.fingerprint_of(config)
        if (first := found.get(fingerprint)) is not None:
            found[fingerprint] = first.known_as(name, family)
        else:
            found[fingerprint] = Proposal(name, family, number, config.to_flat(), fingerprint, name, {})
    return found


def chosen_names(only: Collection[str]) -> set[str]:
    """The published names that `only` stands for: names, their short forms (RS3), families or their codes; empty: all.

    Raises UserError for anything else.
    """
    meanings = names_by_word()
    chosen: set[str] = set()
    for word in only:
        if word not in meanings:
            hint = suggest(word, meanings, "; give names such as RS3, families or their codes")
            raise UserError(f"--only {word}: the study has no such configuration or family{hint}")
        chosen |= set(meanings[word])
    return chosen or set(published_by_name())
