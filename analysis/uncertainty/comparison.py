"""Winners with their uncertainty: what can be told from the baseline, from the winner, and from luck."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, asked_of
from nrtune.analysis.selection.winners import (
    MIN_REPLICATES,
    MIN_SEEDS,
    Field,
    Winner,
    field_of,
    find_winner,
    selection_values,
)
from nrtune.analysis.sources.trials import BestTrial, CampaignFolder, Trials, table_of
from nrtune.analysis.store.records import FINISHED, SCORED, TrialRecord
from nrtune.analysis.uncertainty.bootstrap import Floats
from nrtune.analysis.uncertainty.compared import NOT_TESTED, Comparison, word_for
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.kept import keep, kept_in, read_kept
from nrtune.analysis.uncertainty.student import Resampled, holm, minimum_detectable
from nrtune.analysis.wording import listed
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.evaluation.metrics import ranks

SELECTED_ON_IT = "it was selected on the very data that it is reported on"
"""Why nothing is tested where winners are selected on the challenge."""


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
        left_out = _left_out(self.table, use_case, self.select_on, self.use_cases, self.source.matched)
        found, why_not = _plain_table(field, self.select_on), ""
        non_neural = NOT_TESTED
        resampler = self._resampler(field.compared, by_replicates=True)
        values = None if resampler is None else _of_rule(resampler, field.rule)
        if resampler is None:
            why_not = "no predictions are stored with these trials"
        elif values is None:
            why_not = f"stored predictions do not tell {', '.join(field.rule.metrics)}"
        not_tested = why_not or _not_tested(found, winner)
        detectable = None
        if resampler is not None and values is not None:
            detectable = _compare(found, resampler, values, winner, tested=not not_tested)
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
            left_out=left_out,
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
        predictions = self.source.reference_predictions(best)
        if winner.select_on == "challenge":
            return f"{NOT_TESTED}: {SELECTED_ON_IT}"
        if winner.replicates < MIN_SEEDS:
            return f"{NOT_TESTED}: {_too_few([winner.trial])}"
        own = next(one for one in resampler.configurations if one.name == winner.trial)
        both = Resampler([own, Configuration(best, (0,), (predictions,))], self.source.matched, self.how)
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


def _plain_table(field: Field, select_on: str) -> pd.DataFrame:
    """What needs no resampling; the columns that do are there, and missing."""
    rule, compared = field.rule, field.compared
    metric = next(iter(rule.metrics))
    value = selection_values(compared, rule, "challenge") if rule.composite else compared[metric].astype(float)
    table = pd.DataFrame(
        {
            "name": compared["name"].to_numpy(),
            "family": compared["family"].to_numpy(),
            "candidate": compared.index.isin(field.candidates.index),
            "replicates": compared["replicates"].to_numpy(),
            "selected_by": selection_values(compared, rule, select_on).to_numpy(),
            "value": value.to_numpy(),
        }
    )
    undefined = ("low", "high", "improvement", "improvement_low", "improvement_high", "p", "p_holm", "behind", "behind_low",
                 "behind_high", "rank", "rank_low", "rank_high", "probability_best")  # fmt: skip
    return table.assign(against_winner="", **dict.fromkeys(undefined, np.nan))


class _Values(NamedTuple):
    """A use case's values, resampled: as they are shown, and turned so that larger is better."""

    shown: Resampled
    oriented: Resampled


def _of_rule(resampler: Resampler, rule: UseCase) -> _Values | None:
    """None where the predictions do not tell one of the rule's metrics."""
    parts: dict[str, Resampled] = {}
    for name in rule.metrics:
        resampled = resampler.metric(name)
        if resampled is None:
            return None
        parts[name] = resampled
    oriented = {name: part.map(functools.partial(rule.oriented, name)) for name, part in parts.items()}
    if rule.composite:
        mean_rank = _mean_rank(list(oriented.values()))
        return _Values(mean_rank, mean_rank)
    ((name, shown),) = parts.items()
    return _Values(shown, oriented[name])


def _mean_rank(parts: Sequence[Resampled]) -> Resampled:
    """The mean percentile rank over several metrics, each larger the better.

    A rank is relative to the other trials: a single seed's mean rank is not defined, and its part is not told apart.
    """
    count = len(parts[0].estimate)
    estimate = np.mean([ranks(part.estimate) / count for part in parts], axis=0)
    samples = np.zeros_like(parts[0].samples)
    for part in parts:
        samples += ranks(_lowest_where_undefined(part.samples)) / count / len(parts)
    alone = tuple(np.array([value]) for value in estimate)
    return Resampled(estimate, samples, alone, parts[0].seeds, min(part.block_freedom for part in parts), bound=1.0)


def _lowest_where_undefined(samples: Floats) -> Floats:
    return np.where(np.isfinite(samples), samples, -np.inf)


def _not_tested(table: pd.DataFrame, winner: Winner) -> str:
    """Why a winner that has intervals is not tested against the baseline, or ""."""
    if winner.select_on == "challenge":
        return SELECTED_ON_IT
    if winner.baseline is None:
        return "no baseline has finished"
    if winner.note:
        return winner.note
    seeds = dict(zip(table["name"], table["replicates"].clip(lower=1), strict=True))
    few = [name for name in (winner.trial, winner.baseline) if seeds[name] < MIN_SEEDS]
    return _too_few(few) if few else ""


def _too_few(names: Sequence[str]) -> str:
    return f"{listed(names)} {'has' if len(names) == 1 else 'have'} fewer than {MIN_SEEDS} seeds"


def _compare(
    table: pd.DataFrame, resampler: Resampler, values: _Values, winner: Winner, *, tested: bool
) -> float | None:
    """Fill in the table's intervals and, where they are tested, p-values and ranks; return the minimum detectable improvement."""
    names, candidate = list(table["name"]), table["candidate"].to_numpy(bool)
    own = resampler.interval(values.shown)
    table["low"], table["high"] = own.low, own.high
    behind = resampler.differences(values.oriented, names.index(winner.trial))
    table["behind"], table["behind_low"], table["behind_high"] = -behind.estimate, -behind.high, -behind.low
    if winner.baseline is None:
        return None
    over = resampler.differences(values.oriented, names.index(winner.baseline))
    table["improvement"] = over.estimate
    table["improvement_low"], table["improvement_high"] = over.low, over.high
    if not tested:
        return None
    enough = candidate & (table["replicates"] >= MIN_SEEDS).to_numpy(bool)
    table["p"] = np.where(enough, over.p, np.nan)
    table["p_holm"] = holm(table["p"].to_numpy(np.float64))
    rivals = enough & (table["name"] != winner.trial).to_numpy(bool)
    corrected = holm(np.where(rivals, behind.p, np.nan))
    table["against_winner"] = [
        word_for(difference, p) if rival else ""
        for difference, p, rival in zip(behind.estimate, corrected, rivals, strict=True)
    ]
    tail = (1 - resampler.how.level) / 2
    place = ranks(-_lowest_where_undefined(values.oriented.samples[enough]), "min")
    low, high = np.quantile(place, [tail, 1 - tail], axis=1, method="inverted_cdf")
    table.loc[enough, "rank"] = ranks(-values.oriented.estimate[enough], "min")
    table.loc[enough, ["rank_low", "rank_high"]] = np.stack([low, high], axis=1).astype(float)
    first = place == 1  # aliases share the first rank
    table.loc[enough, "probability_best"] = (first / first.sum(axis=0)).mean(axis=1)
    at = names.index(winner.trial)
    found = minimum_detectable(float(over.error[at]), float(over.freedom[at]), int(enough.sum()))
    return found if math.isfinite(found) else None


def _left_out(
    trials: pd.DataFrame, use_case: str, select_on: str, use_cases: Mapping[str, UseCase], matched: Sequence[str]
) -> dict[str, str]:
    """The winner when the selection leaves an element out; {} for a use case, or selection data, without elements."""
    rule = use_cases[use_case]
    means = [name for name in rule.selection(select_on) if name.startswith("cagi5/")]  # `matched` is CAGI5's
    found: dict[str, str] = {}
    if not means:
        return found
    for element in matched if len(matched) > 1 else ():
        others = [other for other in matched if other != element]
        changed = trials.copy()
        for mean in means:
            for name in _means_in(mean):
                columns = [f"{name.removesuffix('mean')}{other}" for other in others]
                if not set(columns) <= set(trials):
                    return {}
                changed[name] = trials[columns].mean(axis=1)
            if mean.endswith("hc_lc_gap"):
                high, low = _means_in(mean)
                changed[mean] = changed[high] - changed[low]
        found[element] = find_winner(changed, use_case, select_on, use_cases).trial
    return found


def _means_in(metric: str) -> tuple[str, ...]:
    """The means over elements that a benchmark's metric is made of."""
    if metric.endswith("hc_lc_gap"):
        part = metric.removesuffix("hc_lc_gap")
        return f"{part}spearman/hc/mean", f"{part}spearman/lc/mean"
    return (metric,)
