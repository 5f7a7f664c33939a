"""Ensembles of trials that are there already: means of their stored predictions, compared to the best single trial."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nrtune.analysis.selection.configurations import SEED, configurations
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, asked_of, fitted
from nrtune.analysis.selection.winners import finalists, find_winner
from nrtune.analysis.sources.trials import CampaignFolder, Trials
from nrtune.analysis.store.predictions import CALIBRATED, Predictions, same_rows
from nrtune.analysis.store.records import FINISHED, SCORED
from nrtune.analysis.uncertainty.bootstrap import Floats
from nrtune.analysis.uncertainty.compared import AgainstNonNeural
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.non_neural import ALWAYS, NonNeuralBaselines, against, with_p
from nrtune.analysis.uncertainty.student import Interval, holm
from nrtune.analysis.uncertainty.tested import SELECTED_ON_IT
from nrtune.analysis.wording import replicate_command
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import TEST, predictions_file, write_atomically
from nrtune.trainables.evaluation.metrics import ranks

MEAN, RANKS = "mean", "rank_average"
WAYS = (MEAN, RANKS)
"""The mean of predictions in log2(RNA/DNA), as `nrtune predict --ensemble` gives it; the mean of their ranks."""

COVERS = (
    "Intervals are over variants and test sequences: what these very networks would do on others."
    " They hold no variance over seeds: another ensemble of this kind, of other seeds, may do otherwise."
)
"""What the intervals of an ensemble say: it is one predictor, and has no replicates of its own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ensemble:
    """An ensemble by one metric: its way, its members, and how it compares to the best single trial by selection data.

    value, low, high: the metric with its interval. single: that of the trial `best`. improvement, improvement_low,
    improvement_high: over it (+ is better). What the intervals are over: COVERS.
    """

    way: str
    members: tuple[str, ...]
    best: str
    metric: str
    value: float
    low: float
    high: float
    single: float
    improvement: float
    improvement_low: float
    improvement_high: float
    predictions: Predictions


class EnsembleComparison:
    """Ensembles of the same members, each way, beside the use case's best single trial by selection data.

    The members are the `top` best trials, or with `replicates` all trainings of the winner's configuration, whatever their
    seeds; chosen by selection data either way. select_on: what they were selected on. what: how they were chosen, in words.
    own: the file that further use cases are from, which a command that is recommended names.

    Raises UserError where fewer than two trials have predictions, or the winner was trained once.
    """

    def __init__(
        self,
        source: Trials,
        use_case: str,
        *,
        top: int = 5,
        replicates: bool = False,
        select_on: str | None = None,
        use_cases: Mapping[str, UseCase] = USE_CASES,
        own: Path | None = None,
        how: Resampling | None = None,
    ) -> None:
        self.use_case, self.select_on, self._own = use_case, select_on or source.select_on, own
        table = source.trials()
        names = finalists(table, use_case, self.select_on, top, use_cases)
        self.best, self.what = names[0], f"the {len(names)} best trials for {use_case}"
        if replicates:
            names = self._trainings(source, table, find_winner(table, use_case, self.select_on, use_cases).trial)
            self.what = f"the {len(names)} trainings of {names[0]}, the winner for {use_case}"
        fingerprint = {record.name: record.fingerprint for record in source.records()}
        stored = {name: source.predictions(fingerprint[name]) for name in dict.fromkeys([self.best, *names])}
        stored = {name: one for name, one in stored.items() if one.test is not None}
        self.members = tuple(name for name in names if name in stored)
        if len(self.members) < 2:
            raise UserError(
                f"use case {use_case}: of {self.what} {len(self.members)} have stored predictions; an ensemble needs two"
            )
        if len(self.members) < len(names):
            self.what = f"{len(self.members)} of {self.what}, those with stored predictions"
        self.best = next(iter(stored))  # the first that has any
        self.rules = {name: fitted(rule, table) for name, rule in asked_of(table, use_cases).items()}
        self.metric = next(iter(self.rules[use_case].metrics))
        self.combined = {way: combine([stored[name] for name in self.members], way) for way in WAYS}
        self._non_neural, self._matched = NonNeuralBaselines(source, how or Resampling()), source.matched
        trials = [Configuration(self.best, (0,), (stored[self.best],))]
        trials += [Configuration(way, (0,), (one,)) for way, one in self.combined.items()]
        self._of_both = Resampler(trials, source.matched, how)
        self._of_mean = Resampler(trials[:2], source.matched, how)

    def of(self, metric: str, oriented: Callable[[Floats], Floats] = lambda values: values) -> list[Ensemble]:
        """The ensembles by a metric, an entry a way; none where stored predictions do not tell it."""
        is_of_errors = metric.startswith("noise/")  # an error of ranks is no error
        ways, resampler = ((MEAN,), self._of_mean) if is_of_errors else (WAYS, self._of_both)
        resampled = resampler.metric(metric)
        if resampled is None:
            return []
        own = resampler.interval(resampled)
        against = resampler.differences(resampled.map(oriented), 0)
        return [self._ensemble(way, metric, own, against) for way in ways]

    def of_use_case(self) -> list[Ensemble]:
        """The same by the use case's metric, the first of several. Raises UserError where stored predictions do not tell it."""
        found = self.of(self.metric, functools.partial(self.rules[self.use_case].oriented, self.metric))
        if not found:
            raise UserError(f"use case {self.use_case}: stored predictions do not tell {self.metric}")
        return found

    def of_all(self) -> list[Ensemble]:
        """The mean by every reported metric that some use case asks for, and by the correlations that break their ties."""
        oriented = {
            metric: functools.partial(rule.oriented, metric) for rule in self.rules.values() for metric in rule.metrics
        }
        ties = [tie for rule in self.rules.values() for tie in rule.ties if "/spearman" in tie or "/pearson" in tie]
        found = [self.of(metric, turned) for metric, turned in oriented.items()]
        found += [self.of(tie) for tie in dict.fromkeys(ties) if tie not in oriented]
        return [ways[0] for ways in found if ways and math.isfinite(ways[0].value)]

    def against_non_neural(self) -> tuple[AgainstNonNeural, ...]:
        """The mean against the best non-neural baseline, in the use case's metrics and in test Spearman and Pearson.

        These networks were chosen by selection data and are one predictor: p, paired over variants or clusters of test sequences,
        is corrected for the number of metrics alone (Holm). What a further ensemble, of other seeds, would be is not asked.
        """
        metrics = self.rules[self.use_case].metrics
        rule = dataclasses.replace(self.rules[self.use_case], metrics=dict.fromkeys(ALWAYS, "max") | dict(metrics))
        mean = Configuration(MEAN, (0,), (self.combined[MEAN],))
        found = []
        for metric in dict.fromkeys([*metrics, *ALWAYS]):
            if (name := self._non_neural.best(rule, metric)) is None:
                continue
            one = Resampler([mean, self._non_neural.configuration(name)], self._matched, self._non_neural.how)
            why_not = SELECTED_ON_IT if metric in rule.selection(self.select_on) else ""
            found.append(against(self._non_neural, name, metric, MEAN, rule, None if why_not else one, why_not))
        tested = [one for one in found if one.p is not None]
        corrected = dict(zip(map(id, tested), holm(np.array([one.p for one in tested])), strict=True))
        return tuple(with_p(one, float(corrected[id(one)])) if id(one) in corrected else one for one in found)

    def _trainings(self, source: Trials, table: pd.DataFrame, winner: str) -> list[str]:
        """All scored trainings of the winner's configuration: its own first, then those with fresh seeds, by these."""
        own = configurations(table, fresh=False).set_index("name")["trainings"][winner]
        again = [r for r in source.records() if r.replicate_of == winner and r.status in (FINISHED, SCORED)]
        names = [*own, *(record.name for record in sorted(again, key=lambda record: int(record.config[SEED])))]
        if len(names) < 2:
            folder = source.folder if isinstance(source, CampaignFolder) else source.name
            select_on = None if self.select_on == source.select_on else self.select_on
            command = replicate_command(folder, [self.use_case], own=self._own, select_on=select_on)
            raise UserError(f"{winner}, the winner for {self.use_case}, was trained with one seed; {command} adds more")
        return names

    def _ensemble(self, way: str, metric: str, own: Interval, against: Interval) -> Ensemble:
        number = 1 + WAYS.index(way)
        return Ensemble(
            way=way,
            members=self.members,
            best=self.best,
            metric=metric,
            value=float(own.estimate[number]),
            low=float(own.low[number]),
            high=float(own.high[number]),
            single=float(own.estimate[0]),
            improvement=float(against.estimate[number]),
            improvement_low=float(against.low[number]),
            improvement_high=float(against.high[number]),
            predictions=self.combined[way],
        )


def combine(predictions: Sequence[Predictions], way: str) -> Predictions:
    """One prediction of several, a row a test sequence and a row a variant.

    A mean is of calibrated predictions, or of the models' own output where one of them has no calibration. Ranks are taken
    within the test split, and within each element and part of the variants: there they are compared. Their means are scaled
    to lie in (0, 1]. Raises UserError for trials that were not scored on the same rows.
    """
    first = predictions[0]
    for other in predictions:
        if (other.test is None, set(other.effects)) != (first.test is None, set(first.effects)):
            raise UserError("an ensemble's trials must all have the same kinds of predictions")
    calibrated = [one for one in map(Predictions.calibrated, predictions if way == MEAN else ()) if one is not None]
    on_one_scale = len(calibrated) == len(predictions)
    if on_one_scale:
        predictions = calibrated
    test = None
    if first.test is not None:
        tables = [one.test.drop(columns=CALIBRATED, errors="ignore") for one in predictions if one.test is not None]
        test = _combined(tables, "prediction", way, [])
        if on_one_scale:
            test[CALIBRATED] = test["prediction"]
    effects = {}
    for name, table in first.effects.items():
        within = [column for column in ("element", "part") if column in table]
        effects[name] = _combined([one.effects[name] for one in predictions], "variant_effect", way, within)
    return Predictions(test, effects)


def store(ensemble: Ensemble, folder: Path) -> list[Path]:
    """Write an ensemble's predictions into a folder, each file whole or not at all; returns their paths."""
    paths = []
    test, effects = ensemble.predictions
    tables = dict(effects) if test is None else {TEST: test, **effects}
    for of, table in tables.items():
        path = folder / predictions_file(of)
        write_atomically(path, functools.partial(table.to_parquet, index=False))
        paths.append(path)
    return paths


def _combined(tables: Sequence[pd.DataFrame], column: str, way: str, within: Sequence[str]) -> pd.DataFrame:
    first = tables[0]
    if not all(same_rows(first, table) for table in tables[1:]):
        raise UserError("an ensemble's trials were not scored on the same rows")
    values = np.stack([table[column].to_numpy(np.float64) for table in tables])
    if way == RANKS:
        groups = first.groupby(list(within)).indices.values() if within else [np.arange(len(first))]
        for rows in groups:
            values[:, rows] = ranks(values[:, rows].T).T / len(rows)
    shared = [name for name in first if all(name in table for table in tables)]
    return first[shared].assign(**{column: values.mean(axis=0)})
