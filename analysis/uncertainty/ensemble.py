"""Ensembles of trials that are there already: means of their stored predictions, compared to the best single trial."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nrtune.analysis.selection.use_cases import USE_CASES, UseCase
from nrtune.analysis.selection.winners import finalists
from nrtune.analysis.sources.trials import Trials
from nrtune.analysis.store.predictions import CALIBRATED, Predictions, same_rows
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.student import Interval
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import TEST, predictions_file, write_atomically
from nrtune.trainables.evaluation.metrics import ranks

MEAN, RANKS = "mean", "rank_average"
WAYS = (MEAN, RANKS)
"""The mean of predictions in log2(RNA/DNA), as `nrtune predict --ensemble` gives it; the mean of their ranks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ensemble:
    """An ensemble in one use case: its way, its members, the metric, and how it compares to the best single trial.

    value, low, high: its metric with the interval. improvement, improvement_low, improvement_high: over the best single trial
    (+ is better). The intervals are over variants alone, and nothing is tested: the members are single trainings.
    """

    way: str
    members: tuple[str, ...]
    metric: str
    value: float
    low: float
    high: float
    single: float
    improvement: float
    improvement_low: float
    improvement_high: float
    predictions: Predictions


def ensembles(
    source: Trials,
    use_case: str,
    *,
    top: int = 5,
    select_on: str | None = None,
    use_cases: Mapping[str, UseCase] = USE_CASES,
    how: Resampling | None = None,
) -> list[Ensemble]:
    """The ensembles of the `top` trials of a use case by selection data, each compared to the first of them.

    A use case of several metrics is told by its first. Raises UserError where fewer than two trials have predictions.
    """
    names = finalists(source.trials(), use_case, select_on or source.select_on, top, use_cases)
    fingerprint = {record.name: record.fingerprint for record in source.records()}
    stored = {name: source.predictions(fingerprint[name]) for name in names}
    stored = {name: one for name, one in stored.items() if one.test is not None}
    if len(stored) < 2:
        raise UserError(
            f"use case {use_case}: {len(stored)} of its {len(names)} best trials have stored predictions; an ensemble needs two"
        )
    members = tuple(stored)
    metric = next(iter(use_cases[use_case].metrics))
    ways = (MEAN,) if metric.startswith("noise/") else WAYS  # an error of ranks is no error
    combined = {way: combine(list(stored.values()), way) for way in ways}
    configurations = [Configuration(members[0], (0,), (stored[members[0]],))]
    configurations += [Configuration(way, (0,), (one,)) for way, one in combined.items()]
    resampler = Resampler(configurations, source.matched, how)
    resampled = resampler.metric(metric)
    if resampled is None:
        raise UserError(f"use case {use_case}: stored predictions do not tell {metric}")
    own = resampler.interval(resampled)
    against = resampler.differences(resampled.map(functools.partial(use_cases[use_case].oriented, metric)), 0)
    return [
        _ensemble(way, members, metric, own, against, number, combined[way]) for number, way in enumerate(ways, start=1)
    ]


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


def _ensemble(
    way: str,
    members: tuple[str, ...],
    metric: str,
    own: Interval,
    against: Interval,
    number: int,
    predictions: Predictions,
) -> Ensemble:
    return Ensemble(
        way=way,
        members=members,
        metric=metric,
        value=float(own.estimate[number]),
        low=float(own.low[number]),
        high=float(own.high[number]),
        single=float(own.estimate[0]),
        improvement=float(against.estimate[number]),
        improvement_low=float(against.low[number]),
        improvement_high=float(against.high[number]),
        predictions=predictions,
    )
