"""Winners with their uncertainty: what can be told from the baseline, from the winner, and from luck."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, asked_of
from nrtune.analysis.selection.winners import (
    MIN_REPLICATES,
    MIN_SEEDS,
    Winner,
    field_of,
    find_winner,
)
from nrtune.analysis.sources.trials import BestTrial, CampaignFolder, Trials, table_of
from nrtune.analysis.store.records import FINISHED, SCORED, TrialRecord
from nrtune.analysis.uncertainty.compared import NOT_TESTED, Comparison, word_for
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.kept import keep, kept_in, read_kept
from nrtune.analysis.uncertainty.left_out import left_out
from nrtune.analysis.uncertainty.tested import (
    SELECTED_ON_IT,
    fill_in,
    not_tested_because,
    plain_table,
    too_few,
    values_of,
)
from nrtune.trainables.core.errors import UserError


class Comparisons:
    """Compares the trials of a source, use case by use case; what is resampled is shared by all of them."""

    def __init__(
        self,
        source: Trials,
        *,
        select_on: str | None = None,
        use_cases: Mapping[str, UseCase] = USE_CASES,
        how: Resampling | None = None,
    ) -> None:
        self.source, self.use_cases, self.how = source, use_cases, how or Resampling()
        self.select_on = select_on or source.select_on

    @functools.cached_property
    def records(self) -> list[TrialRecord]:
        """The trials that had ended when they were first asked for."""
        return self.source.records()

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """The same as a table."""
        return table_of(self.records)

    def compare(self, use_case: str) -> Comparison:
        """The winner of a use case, compared. Raises UserError where there is none."""
        winner = find_winner(self.table, use_case, self.select_on, self.use_cases)
        field = field_of(self.table, use_case, self.select_on, self.use_cases)
        others = left_out(self.table, use_case, self.select_on, self.use_cases, self.source.matched)
        found, why_not = plain_table(field, self.select_on), ""
        non_neural = NOT_TESTED
        resampler = self._resampler(field.compared, by_replicates=True)
        values = None if resampler is None else values_of(resampler, field.rule)
        if resampler is None:
            why_not = "no predictions are stored with these trials"
        elif values is None:
            why_not = f"stored predictions do not tell {', '.join(field.rule.metrics)}"
        not_tested = why_not or not_tested_because(found, winner)
        detectable = None
        if resampler is not None and values is not None:
            detectable = fill_in(found, resampler, values, winner, tested=not not_tested)
            non_neural = self._against_non_neural(resampler, winner, field.rule)
        best_first = (
            -found["value"]
            if field.rule.composite
            else -field.rule.oriented(next(iter(field.rule.metrics)), found["value"])
        )
        found = found.loc[best_first.sort_values(kind="stable").index]
        return Comparison(
            winner=winner,
            table=found.reset_index(drop=True),
            minimum_detectable=detectable,
            left_out=others,
            why_not=why_not,
            not_tested=not_tested,
            against_non_neural=non_neural,
        )

    def _against_non_neural(self, resampler: Resampler, winner: Winner, rule: UseCase) -> str:
        """BETTER, SAME or WORSE than the best non-neural baseline on the reported data; or that it was not tested, and why."""
        if rule.composite:
            return f"{NOT_TESTED}: the use case has several metrics"
        ((metric, _),) = rule.metrics.items()
        lines = {name: of[metric] for name, of in self.source.references().items() if metric in of}
        lines = {name: value for name, value in lines.items() if math.isfinite(value)}
        if not lines:
            return f"{NOT_TESTED}: no non-neural baseline has {metric}"
        best = max(lines, key=lambda name: rule.oriented(metric, lines[name]))
        if winner.select_on == "challenge":
            return f"{NOT_TESTED}: {SELECTED_ON_IT}"
        if winner.replicates < MIN_SEEDS:
            return f"{NOT_TESTED}: {too_few([winner.trial])}"
        own = next(one for one in resampler.configurations if one.name == winner.trial)
        line = Configuration(best, (0,), (self.source.reference_predictions(best),))
        both = Resampler([own, line], self.source.matched, self.how)
        if (resampled := both.metric(metric)) is None:
            return f"{NOT_TESTED}: no predictions of {best} are stored"
        against = both.differences(resampled.map(functools.partial(rule.oriented, metric)), 1)
        return word_for(float(against.estimate[0]), float(against.p[0]))

    def configuration(self, name: str) -> Configuration | None:
        """A trial's trainings with their predictions: its replicates, or its own; None where none are stored."""
        resampler = self._resampler_of((name,), True)
        return None if resampler is None else resampler.configurations[0]

    def find(self, use_case: str) -> BestTrial:
        """The winner of a use case, without intervals. Raises UserError where there is none."""
        return self.best(find_winner(self.table, use_case, self.select_on, self.use_cases))

    def best(self, winner: Winner) -> BestTrial:
        """The trial that a winner is: its configuration, metrics and files."""
        return self.source.best_of(winner, self.records)

    def compare_all(self) -> tuple[dict[str, Comparison], dict[str, str]]:
        """Every use case's comparison, and for those without a winner the reason; a campaign's folder keeps them."""
        return self._compared

    @functools.cached_property
    def _compared(self) -> tuple[dict[str, Comparison], dict[str, str]]:
        path = self._kept()
        if path is not None and path.exists():
            return read_kept(path)
        found, missing = {}, {}
        for use_case in asked_of(self.table, self.use_cases):
            try:
                found[use_case] = self.compare(use_case)
            except UserError as error:
                missing[use_case] = str(error)
        if path is not None:
            keep(path, found, missing)
        return found, missing

    def value_intervals(self, metrics: Iterable[str]) -> pd.DataFrame:
        """Intervals of the trials' own values: columns name, metric, low, high; without rows where none can be told."""
        rows: list[pd.DataFrame] = []
        own = self.table[self.table["same_as"].isna() & self.table["replicate_of"].isna()] if len(self.table) else None
        resampler = None if own is None else self._resampler(own, by_replicates=False)
        for metric in metrics if resampler is not None else ():
            assert resampler is not None
            if (resampled := resampler.metric(metric)) is not None:
                interval = resampler.interval(resampled)
                names = [configuration.name for configuration in resampler.configurations]
                rows.append(pd.DataFrame({"name": names, "metric": metric, "low": interval.low, "high": interval.high}))
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["name", "metric", "low", "high"])

    def _resampler(self, compared: pd.DataFrame, *, by_replicates: bool) -> Resampler | None:
        """None unless all of the compared have stored predictions."""
        return self._resampler_of(tuple(map(str, compared["name"])), by_replicates)

    @functools.lru_cache(maxsize=2)  # noqa: B019 - lives as long as the comparisons do
    def _resampler_of(self, names: tuple[str, ...], by_replicates: bool) -> Resampler | None:
        rows = _trainings(self.table, names, by_replicates=by_replicates)
        configurations = []
        for name, members in rows.items():
            predictions = tuple(self.source.predictions(str(member)) for member in members["fingerprint"])
            if all(one.test is None for one in predictions):
                if by_replicates:
                    return None
                continue
            seeds = tuple(int(seed) for seed in members["seed"]) if "seed" in members else (0,) * len(members)
            configurations.append(Configuration(name, seeds, predictions))
        return Resampler(configurations, self.source.matched, self.how) if configurations else None

    def _kept(self) -> Path | None:
        """Where the folder of a campaign keeps comparisons of these trials under these options."""
        if not isinstance(self.source, CampaignFolder):
            return None
        return kept_in(self.source, self.select_on, self.use_cases, self.how, self.records)


def _trainings(table: pd.DataFrame, names: Sequence[str], *, by_replicates: bool) -> dict[str, pd.DataFrame]:
    """The trainings behind each name, in the order of their seeds: its finished replicates, or its own."""
    found = {}
    for name in names:
        members = table[table["name"] == name]
        if by_replicates:
            replicates = table[(table["replicate_of"] == name) & table["status"].isin([FINISHED, SCORED])]
            if len(replicates) >= MIN_REPLICATES:
                members = replicates.sort_values("seed")
        found[name] = members
    return found
