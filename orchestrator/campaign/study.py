"""The study again: every published configuration, under its name and with its seed, trained to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from nrtune.orchestrator.campaign.campaign import CampaignRun
from nrtune.orchestrator.search.family_study import GivenOrder, Proposal, Proposer
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.settings import StudySettings
from nrtune.search_spaces import FAMILIES, names_by_word, published_by_name
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.training.config import TrialConfig


class Study(CampaignRun):
    """Checked published configurations, ready to run. Raises UserError.

    Configurations of one fingerprint are trained once, under the name that comes first.
    """

    def __init__(self, settings: StudySettings) -> None:
        chosen = chosen_names(settings.only)
        super().__init__(settings)
        self._proposals = self._plan(chosen)
        self._chosen = {p.fingerprint for p in self._proposals if chosen & {p.name, *p.also}}

    @property
    def families(self) -> Sequence[str]:
        """The families of the configurations asked for."""
        return tuple(dict.fromkeys(p.family for p in self._proposals if p.fingerprint in self._chosen))

    def wanted(self, ledger: Ledger) -> dict[str, int]:
        """What has ended of each family, and what was asked for and has not."""
        missing = Counter(p.family for p in self._proposals if p.fingerprint in self._chosen - set(ledger.records))
        ended = Counter(record.family for record in ledger.records.values())
        return {family: ended[family] + missing[family] for family in self.families}

    def typical(self) -> TrialConfig:
        """The first configuration asked for."""
        return TrialConfig.from_flat(next(p.config for p in self._proposals if p.fingerprint in self._chosen))

    def proposers(self, ledger: Ledger) -> dict[str, Proposer]:
        """The published configurations of each family."""
        known = [*self.families, *(record.family for record in ledger.records.values())]
        chosen = [p for p in self._proposals if p.fingerprint in self._chosen]
        return {name: GivenOrder(name, [p for p in chosen if p.family == name]) for name in dict.fromkeys(known)}

    def _plan(self, chosen: Collection[str]) -> list[Proposal]:
        """Every published configuration; one that is there already under another name is added to it.

        All of them, because a name of one that was not asked for may stand for one that was.
        """
        plan: dict[str, Proposal] = {}
        for number, (name, (family, published)) in enumerate(published_by_name().items()):
            known = FAMILIES.get(family)
            flat = known.flat(known.complete(published.parameters))
            build = self.check if name in chosen else self.build
            config = build(family, flat, published.seed)
            fingerprint = self.data.fingerprint_of(config)
            if (first := plan.get(fingerprint)) is not None:
                plan[fingerprint] = first._replace(also={**first.also, name: family})
            else:
                plan[fingerprint] = Proposal(name, family, number, config.to_flat(), fingerprint, name, {})
        return list(plan.values())


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
