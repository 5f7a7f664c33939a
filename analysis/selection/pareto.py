"""Objectives of a search, and the trials that no other beats in all of them at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from nrtune.analysis.selection.candidates import BASELINE, MIN_SEEDS, configurations
from nrtune.analysis.selection.use_cases import USE_CASES, selection_metric
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.data.benchmarks import BENCHMARKS, reported_prefix

EXAMPLE = "val/noise/corr:min"


class Objective(NamedTuple):
    """A metric that a search makes as large (max) or as small (min) as it can."""

    metric: str
    direction: Literal["max", "min"]

    def __str__(self) -> str:
        return f"{self.metric}:{self.direction}"

    @property
    def reported(self) -> str:
        """The metric's counterpart on data that no search sees; itself if it is of such data already."""
        if self.metric.startswith("val/noise/"):
            return self.metric.removeprefix("val/")
        if self.metric.startswith("val/"):
            return "test/" + self.metric.removeprefix("val/")
        match self.metric.split("/"):
            case [benchmark, _, kind, stratum, element] if benchmark in BENCHMARKS:
                return f"{reported_prefix(benchmark)}/{kind}/{stratum}/{element}"
            case [benchmark, _, "hc_lc_gap"] if benchmark in BENCHMARKS:
                return f"{reported_prefix(benchmark)}/hc_lc_gap"
        return self.metric


def parse_objectives(texts: Sequence[str], option: str) -> tuple[Objective, ...]:
    """Read METRIC:max and METRIC:min. Raises UserError, which names the option, for anything else, and for a repeat."""
    objectives: list[Objective] = []
    for text in texts:
        metric, _, direction = text.strip().rpartition(":")
        if not metric or direction not in ("max", "min"):
            raise UserError(f"{option} {text}: give METRIC:max or METRIC:min, such as {EXAMPLE}")
        if metric in [objective.metric for objective in objectives]:
            raise UserError(f"{option} {text}: {metric} is named twice")
        objectives.append(Objective(metric, "max" if direction == "max" else "min"))
    return tuple(objectives)


def default_objectives(select_on: str) -> tuple[Objective, ...]:
    """What a search maximises that was told no objective: the overall use case, on the data it selects on."""
    return (Objective(selection_metric(next(iter(USE_CASES["overall"].metrics)), select_on), "max"),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Front:
    """The trials that are not dominated, a row each as in `Trials.trials`, the best at the first objective first.

    candidates: how many trials they were picked from. without_metric: names of finished trials that lack the metric of an
    objective. unreplicated: names of those left out because others were replicated, which go by their means. The rows'
    column `replicates` counts the seeds of those means.
    """

    objectives: tuple[Objective, ...]
    trials: pd.DataFrame
    candidates: int
    without_metric: tuple[str, ...]
    unreplicated: tuple[str, ...]


def pareto_front(trials: pd.DataFrame, objectives: Sequence[Objective]) -> Front:
    """The finished trials of a table (as of `Trials.trials`) that no other one dominates, the baseline's among them.

    As for a winner, where trials were trained again with seeds enough those compete alone, by their means. Raises UserError
    where no finished trial has all the metrics, and for no objective.
    """
    if not objectives:
        raise UserError(f"a Pareto front needs an objective, such as {EXAMPLE}")
    finished = configurations(trials, pooled=False)
    metrics = [objective.metric for objective in objectives]
    for metric in metrics:
        if metric not in finished or finished[metric].isna().all():
            known = [name for name in map(str, finished.select_dtypes("number")) if "/" in name]
            raise UserError(f"no finished trial has {metric}{suggest(metric, known, '')}")
    has_all = finished[metrics].notna().all(axis=1)
    complete = finished[has_all]
    if complete.empty:
        raise UserError(f"no finished trial has all of {', '.join(metrics)}")
    confirmed = complete["fresh"] >= MIN_SEEDS
    compete = complete[confirmed] if (confirmed & (complete["family"] != BASELINE)).any() else complete
    signs = [1.0 if objective.direction == "max" else -1.0 for objective in objectives]
    values = compete[metrics].to_numpy(float) * signs
    front = compete[~dominated(values)]
    order = (front[metrics] * signs).sort_values(metrics, ascending=False, kind="stable").index
    return Front(
        objectives=tuple(objectives),
        trials=front.loc[order],
        candidates=len(compete),
        without_metric=tuple(finished["name"][~has_all]),
        unreplicated=tuple(complete["name"].drop(compete.index)),
    )


def dominated(values: ArrayLike) -> NDArray[np.bool_]:
    """Which of n points (n, objectives), all to be made large, another point is as good as in all, and better in one.

    Points that are alike do not dominate each other. A NaN is as good as nothing, and nothing is as good as it.
    """
    points = np.asarray(values, np.float64)
    found = np.zeros(len(points), bool)
    for number, point in enumerate(points):
        found[number] = ((points >= point).all(axis=1) & (points > point).any(axis=1)).any()
    return found


def objectives_of(objectives: Sequence[str], select_on: str) -> tuple[Objective, ...]:
    """The objectives that a source of trials tells of, else the one of a search that selects on these data."""
    return parse_objectives(objectives, "objective") or default_objectives(select_on)


def values_at(row: Mapping[Any, Any], names: Sequence[str]) -> dict[str, float | None]:
    """Some metrics of a trial's row; None for those that it lacks."""
    found = {name: row.get(name) for name in names}
    return {
        name: float(value) if isinstance(value, int | float) and not math.isnan(value) else None
        for name, value in found.items()
    }
