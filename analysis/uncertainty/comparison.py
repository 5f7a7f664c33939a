"""Winners with their uncertainty: what is significantly different from the baseline and from the winner, and what may be luck."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from nrtune.analysis.selection.candidates import SEED, Field, configurations, field_of
from nrtune.analysis.selection.seed_variance import SeedVariance
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, asked_of, fitted
from nrtune.analysis.selection.winners import Winner, find_winner, winner_of
from nrtune.analysis.sources.trials import BestTrial, CampaignFolder, Trials
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.store.table import table_of
from nrtune.analysis.uncertainty.compared import NOT_TESTED, AgainstNonNeural, Comparison
from nrtune.analysis.uncertainty.draws import HeldSamples
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.kept import KeptComparisons
from nrtune.analysis.uncertainty.left_out import left_out
from nrtune.analysis.uncertainty.non_neural import NonNeuralBaselines, against_non_neural
from nrtune.analysis.uncertainty.tested import (
    OF_SEVERAL,
    fill_in,
    not_tested_because,
    plain_table,
    values_of,
)
from nrtune.search_spaces import FAMILIES, keeps_encoder
from nrtune.trainables.core.errors import UserError

NOT_STORED = "no predictions are stored with these trials"

_Trainings = tuple[tuple[str, str, tuple[str, ...]], ...]
"""Configurations: name, family, and the names of their trainings."""


class _NotStoredError(Exception):
    """A training's predictions are not stored."""


class Comparisons:
    """Compares the trials of a source, use case by use case; what is resampled is shared by all of them.

    own: the file that further use cases are from, which commands that are recommended name. progress: is told what takes time,
    and how much of how much of it is done; of nothing once it is.
    """

    def __init__(
        self,
        source: Trials,
        *,
        select_on: str | None = None,
        use_cases: Mapping[str, UseCase] = USE_CASES,
        own: Path | None = None,
        how: Resampling | None = None,
        progress: Callable[[str, int, int], None] = lambda what, done, of: None,
    ) -> None:
        self.source, self.own, self.how = source, own, how or Resampling()
        self.select_on = select_on or source.select_on
        self._use_cases, self._progress, self._asked = use_cases, progress, ""
        self._known: dict[str, Comparison] = {}
        self._held = HeldSamples()

    @functools.cached_property
    def records(self) -> list[TrialRecord]:
        """The trials that had ended when they were first asked for."""
        return self.source.records()

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """The same as a table."""
        return table_of(self.records)

    @functools.cached_property
    def use_cases(self) -> Mapping[str, UseCase]:
        """The use cases, as these trials can answer them."""
        return {name: fitted(rule, self.table) for name, rule in self._use_cases.items()}

    @functools.cached_property
    def seed_variance(self) -> SeedVariance:
        """What is known of the variance from one training of a configuration to the next."""
        return SeedVariance(self.table)

    def compare(self, use_case: str) -> Comparison:
        """The winner of a use case, compared; a campaign's folder keeps it. Raises UserError where there is none."""
        if use_case in self._known:
            return self._known[use_case]
        rule = self.use_cases.get(use_case)  # of an unknown one the error is made below
        found = None if rule is None or self._kept is None else self._kept.read(use_case, rule)
        if found is None:
            self._asked = self._asked or use_case
            try:
                found = self._compare(use_case)
            finally:
                self._asked = ""
                self._progress("", 0, 0)
            if self._kept is not None and found.why_not != NOT_STORED:  # a copy under way may still bring them
                self._kept.keep(use_case, self.use_cases[use_case], found)
        self._known[use_case] = found
        return found

    def _compare(self, use_case: str) -> Comparison:
        field = field_of(self.table, use_case, self.select_on, self.use_cases)
        winner = winner_of(field, self.table, use_case, self.select_on, self.use_cases)
        others = left_out(field, self.table, self.select_on, self.source.loci)
        found, why_not = plain_table(field, self.select_on), ""
        resampler = self._resampler(field.compared)
        values = None if resampler is None or field.rule.composite else values_of(resampler, field.rule)
        if resampler is None:
            why_not = NOT_STORED
        elif field.rule.composite:
            why_not = OF_SEVERAL
        elif values is None:
            why_not = f"stored predictions do not tell {', '.join(field.rule.metrics)}"
        same = self._is_encoder_asked_for(winner)
        not_tested = why_not or not_tested_because(found, winner, field.rule, same_encoder=same)
        power = None
        if resampler is not None and values is not None:
            power = fill_in(found, resampler, values, winner, tested=not not_tested)
        non_neural = () if resampler is None else self._against_non_neural(winner, field)
        best_first = (
            -found["value"]
            if field.rule.composite
            else -field.rule.oriented(next(iter(field.rule.metrics)), found["value"])
        )
        found = found.loc[best_first.sort_values(kind="stable").index]
        return Comparison(
            winner=winner,
            table=found.reset_index(drop=True),
            power=power,
            left_out=others,
            why_not=why_not,
            not_tested=not_tested,
            against_non_neural=_in_own_metric(non_neural, field.rule, why_not),
            non_neural=non_neural,
            blocks=None if values is None else values.shown.blocks,
        )

    def _is_encoder_asked_for(self, winner: Winner) -> bool:
        """Whether a winner's family was put on the encoders of a search; the study's, or its own, are part of a family."""
        family = self._by_name[winner.trial].family
        return bool(self.source.encoders) and not (family in FAMILIES and keeps_encoder(FAMILIES.get(family)))

    @functools.cached_property
    def non_neural(self) -> NonNeuralBaselines:
        """The non-neural baselines that the trials are scored beside."""
        return NonNeuralBaselines(self.source, self.how)

    def _against_non_neural(self, winner: Winner, field: Field) -> tuple[AgainstNonNeural, ...]:
        candidates = _trainings(field.candidates)
        return against_non_neural(
            self.non_neural, winner, field.rule, lambda name: self._resampler_of(candidates, beside=name)
        )

    def configuration(self, winner: Winner) -> Configuration | None:
        """A winner's trainings with their predictions; None where none are stored."""
        found = self._configuration(winner.trial, self._by_name[winner.trial].family, winner.trainings)
        return None if any(one.test is None for one in found.predictions) else found

    def winner(self, use_case: str) -> Winner:
        """The winner of a use case, not compared. Raises UserError where there is none."""
        return find_winner(self.table, use_case, self.select_on, self.use_cases)

    def find(self, use_case: str) -> BestTrial:
        """The same with its configuration, metrics and files."""
        return self.best(self.winner(use_case))

    def best(self, winner: Winner) -> BestTrial:
        """The trial that a winner is: its configuration, metrics and files."""
        return self.source.best_of(winner, self.records)

    def compare_all(self) -> tuple[dict[str, Comparison], dict[str, str]]:
        """Every use case's comparison, and for those without a winner the reason."""
        found, missing = {}, {}
        asked = asked_of(self.table, self.use_cases)
        for number, use_case in enumerate(asked, start=1):
            self._asked = f"{use_case} ({number} of {len(asked)})"
            try:
                found[use_case] = self.compare(use_case)
            except UserError as error:
                missing[use_case] = str(error)
        return found, missing

    def value_intervals(self, metrics: Iterable[str]) -> pd.DataFrame:
        """Intervals of the trials' own values: columns name, metric, low, high; without rows where none can be told."""
        rows: list[pd.DataFrame] = []
        own = configurations(self.table, fresh=False, pooled=False) if len(self.table) else None
        resampler = None if own is None else self._resampler(own, all_of_them=False)
        asked = list(metrics) if resampler is not None else []
        for number, metric in enumerate(asked, start=1):
            assert resampler is not None
            if (interval := resampler.values(metric)) is not None:
                names = [configuration.name for configuration in resampler.configurations]
                rows.append(pd.DataFrame({"name": names, "metric": metric, "low": interval.low, "high": interval.high}))
            self._progress("intervals of all trials", number, len(asked))
        self._progress("", 0, 0)
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["name", "metric", "low", "high"])

    def _resampler(self, compared: pd.DataFrame, *, all_of_them: bool = True) -> Resampler | None:
        """Of rows of `configurations`; None unless all of them, or one at least, have stored predictions."""
        return self._resampler_of(_trainings(compared), all_of_them)

    @functools.lru_cache(maxsize=4)  # noqa: B019 - lives as long as the comparisons do
    def _resampler_of(self, rows: _Trainings, all_of_them: bool = True, beside: str | None = None) -> Resampler | None:
        """beside: the non-neural baseline that is the last configuration."""
        try:
            found = Resampler(
                self._configurations(rows, all_of_them, beside),
                self.source.matched,
                self.how,
                self.seed_variance,
                held=self._held,
                step=self._step,
            )
        except _NotStoredError:
            return None
        return found if found.configurations else None

    def _configurations(self, rows: _Trainings, all_of_them: bool, beside: str | None) -> Iterator[Configuration]:
        """One after the other, read as they are asked for. Raises _NotStoredError where all are wanted and one is without."""
        any_stored = False
        for number, row in enumerate(rows, start=1):
            found = self._configuration(*row)
            if all(one.test is not None for one in found.predictions):
                any_stored = True
                yield found
            elif all_of_them:
                raise _NotStoredError
            self._progress("reading predictions", number, len(rows))
        if any_stored and beside is not None:
            yield self.non_neural.configuration(beside)

    def _configuration(self, name: str, family: str, trainings: Sequence[str]) -> Configuration:
        members = [self._by_name[training] for training in trainings]
        seeds = tuple(int(member.config.get(SEED, 0)) for member in members)
        return Configuration(
            name, seeds, tuple(self.source.predictions(member.fingerprint) for member in members), family
        )

    @functools.cached_property
    def _by_name(self) -> dict[str, TrialRecord]:
        return {record.name: record for record in self.records}

    @functools.cached_property
    def _kept(self) -> KeptComparisons | None:
        """Where comparisons of these trials under these options are kept."""
        if not isinstance(self.source, CampaignFolder):
            return None
        return KeptComparisons(self.source, self.select_on, self.how, self.records)

    def _step(self, done: int, of: int) -> None:
        self._progress(f"resampling for {self._asked}" if self._asked else "resampling", done, of)


def _trainings(compared: pd.DataFrame) -> _Trainings:
    """Of rows of `configurations`, in their order."""
    return tuple(zip(*(compared[name] for name in ("name", "family", "trainings")), strict=True))


def _in_own_metric(non_neural: tuple[AgainstNonNeural, ...], rule: UseCase, why_not: str) -> str:
    """The verdict in the use case's one metric."""
    if why_not:
        return f"{NOT_TESTED}: {why_not}"
    ((metric, _),) = rule.metrics.items()
    return next(
        (row.verdict for row in non_neural if row.metric == metric),
        f"{NOT_TESTED}: no non-neural baseline has {metric}",
    )
