"""Use cases: which metric answers which question, and which trial is best at it.

A trial is selected by a metric that may be looked at (validation, CAGI5 release) and reported by one that may not
(test, CAGI5 challenge): see `UseCase.selection`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from trainables.errors import UserError, suggest

SELECT_ON = ("release", "val", "challenge")
"""What a winner is selected on: the CAGI5 release part, validation alone, or (the study's protocol) what is reported."""

BASELINE = "baseline"


@dataclasses.dataclass(frozen=True, kw_only=True)
class UseCase:
    """A question put to the trials: the reported metrics, their direction, and what breaks a tie.

    With several metrics a trial's value is its mean percentile rank over them, 1 the best. `magnitude` names those of
    which only the size counts.
    """

    title: str
    metrics: Mapping[str, str]
    ties: tuple[str, ...] = ()
    magnitude: frozenset[str] = frozenset()

    @property
    def composite(self) -> bool:
        """Whether the value is a mean rank over several metrics."""
        return len(self.metrics) > 1

    def selection(self, select_on: str) -> list[str]:
        """The metric to select by for each reported one, in the same order."""
        return [selection_metric(name, select_on) for name in self.metrics]


def selection_metric(reported: str, select_on: str) -> str:
    """The counterpart of a reported metric that selection may look at. Raises UserError where there is none."""
    if select_on not in SELECT_ON:
        raise UserError(f"unknown selection data {select_on!r}{suggest(select_on, SELECT_ON)}")
    if select_on == "challenge":
        return reported
    if reported.startswith("test/"):
        return "val/" + reported.removeprefix("test/")
    if reported.startswith("noise/"):
        return "val/" + reported
    if select_on == "release":
        return reported.replace("cagi5/challenge/", "cagi5/release/")
    if reported.endswith("hc_lc_gap"):
        raise UserError("the gap between HC and LC has no counterpart in validation data; select on release")
    return "val/pearson" if "/pearson/" in reported else "val/spearman"


_OVERALL = "cagi5/challenge/spearman/all/mean"
_HIGH, _LOW = "cagi5/challenge/spearman/hc/mean", "cagi5/challenge/spearman/lc/mean"
_PEARSON = "cagi5/challenge/pearson/all/mean"
_TEST, _NOISE = "test/spearman", "noise/corr"

USE_CASES: Mapping[str, UseCase] = {
    "overall": UseCase(title="CAGI5 Spearman, all variants", metrics={_OVERALL: "max"}, ties=(_PEARSON,)),
    "pearson": UseCase(title="CAGI5 Pearson, all variants", metrics={_PEARSON: "max"}, ties=(_OVERALL,)),
    "high_confidence": UseCase(title="CAGI5 Spearman, high confidence", metrics={_HIGH: "max"}, ties=(_OVERALL,)),
    "low_confidence": UseCase(title="CAGI5 Spearman, low confidence", metrics={_LOW: "max"}, ties=(_OVERALL,)),
    "noise_resistance": UseCase(title="Errors independent of noise", metrics={_NOISE: "min"}, ties=(_TEST,)),
    "in_distribution": UseCase(title="Spearman on test sequences", metrics={_TEST: "max"}, ties=("test/pearson",)),
    "balance": UseCase(
        title="Mean rank over six metrics",
        metrics={_OVERALL: "max", _HIGH: "max", _LOW: "max", _PEARSON: "max", _TEST: "max", _NOISE: "min"},
        magnitude=frozenset({_NOISE}),
        ties=(_OVERALL,),
    ),
    "hc_lc_gap": UseCase(
        title="Smallest gap between HC and LC",
        metrics={"cagi5/challenge/hc_lc_gap": "min"},
        magnitude=frozenset({"cagi5/challenge/hc_lc_gap"}),
        ties=(_OVERALL,),
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Winner:
    """The best trial of a use case.

    selected_by: its selection value. reported: each reported metric of the winner. baseline, baseline_reported: the
    baseline trial selected in the same way, None where there is none. candidates: how many trials it was picked from.
    without_metric: finished trials left out for want of a metric. note: what a reader must know, or "".
    """

    use_case: str
    trial: str
    select_on: str
    selected_by: float
    reported: Mapping[str, float]
    baseline: str | None
    baseline_reported: Mapping[str, float]
    candidates: int
    without_metric: int
    note: str


def find_winner(trials: pd.DataFrame, use_case: str, select_on: str) -> Winner:
    """Pick the best finished trial of a use case from a table of trials (columns name, family, status, same_as and metrics).

    The baseline family is the reference, not a candidate, unless nothing else has finished. A replicate is no candidate.

    Raises UserError for an unknown use case and where no finished trial has its metrics.
    """
    rule, finished, complete = _complete(trials, use_case, select_on)
    is_baseline = complete["family"] == BASELINE
    candidates, reference = complete[~is_baseline], complete[is_baseline]
    note = ""
    if candidates.empty:
        candidates, note = reference, "only the baseline has finished"
    value = selection_values(complete, rule, select_on)
    best = _first(candidates, value, rule, select_on)
    baseline = None if reference.empty else _first(reference, value, rule, select_on)
    return Winner(
        use_case=use_case,
        trial=str(best["name"]),
        select_on=select_on,
        selected_by=float(value[best.name]),
        reported={name: float(best[name]) for name in rule.metrics},
        baseline=None if baseline is None else str(baseline["name"]),
        baseline_reported={} if baseline is None else {name: float(baseline[name]) for name in rule.metrics},
        candidates=len(candidates),
        without_metric=len(finished) - len(complete),
        note=note,
    )


def finalists(trials: pd.DataFrame, use_case: str, select_on: str, top: int) -> list[str]:
    """Names of the `top` best candidates of a use case, best first: those that `find_winner` picks from, in its order.

    Raises UserError where `find_winner` does.
    """
    rule, _, complete = _complete(trials, use_case, select_on)
    candidates = complete[complete["family"] != BASELINE]
    value = selection_values(complete, rule, select_on)
    ranked = _ranked(complete if candidates.empty else candidates, value, rule, select_on)
    return [str(name) for name in ranked["name"].iloc[:top]]


def _complete(trials: pd.DataFrame, use_case: str, select_on: str) -> tuple[UseCase, pd.DataFrame, pd.DataFrame]:
    """The rule of a use case, the finished trials, and those of them that have its metrics: at least one."""
    if use_case not in USE_CASES:
        raise UserError(f"unknown use case {use_case!r}{suggest(use_case, USE_CASES)}")
    rule = USE_CASES[use_case]
    finished = trials[trials["status"] == "finished"]
    for column in ("same_as", "replicate_of"):  # another name, or another seed, of a trial is no second candidate
        if column in finished:
            finished = finished[finished[column].isna()]
    needed = list(dict.fromkeys([*rule.selection(select_on), *rule.metrics]))
    complete = finished.dropna(subset=needed) if set(needed) <= set(finished) else finished.iloc[:0]
    if complete.empty:
        absent = next((name for name in needed if name not in finished or finished[name].isna().all()), needed[0])
        raise UserError(f"use case {use_case}: no finished trial has {absent}")
    return rule, finished, complete


def selection_values(trials: pd.DataFrame, rule: UseCase, select_on: str) -> pd.Series[float]:
    """Each trial's selection value: the metric itself, or the mean percentile rank over several."""
    if not rule.composite:
        return trials[rule.selection(select_on)[0]].astype(float)
    oriented = _oriented_metrics(trials, rule, select_on)
    ranks = [column.rank(pct=True) for column in oriented]
    mean: pd.Series[float] = pd.concat(ranks, axis=1).mean(axis=1)
    return mean


def _oriented_metrics(trials: pd.DataFrame, rule: UseCase, select_on: str) -> list[pd.Series[float]]:
    """The rule's selection metrics, each turned so that larger is better."""
    oriented = []
    for (reported, direction), name in zip(rule.metrics.items(), rule.selection(select_on), strict=True):
        column = trials[name].astype(float)
        column = column.abs() if reported in rule.magnitude else column
        oriented.append(-column if direction == "min" else column)
    return oriented


def _first(trials: pd.DataFrame, value: pd.Series[float], rule: UseCase, select_on: str) -> Any:
    """The best row."""
    return _ranked(trials, value, rule, select_on).iloc[0]


def _ranked(trials: pd.DataFrame, value: pd.Series[float], rule: UseCase, select_on: str) -> pd.DataFrame:
    """The rows, best first; ties fall to the rule's other metrics on selection data, then to the earlier trial."""
    key = value.loc[trials.index] if rule.composite else _oriented_metrics(trials, rule, select_on)[0]
    order = pd.DataFrame({"key": key})
    for number, tie in enumerate(rule.ties):
        name = selection_metric(tie, select_on)
        order[f"tie{number}"] = trials[name] if name in trials else 0.0
    keys = [str(column) for column in order]
    return trials.loc[order.sort_values(keys, ascending=False, kind="stable").index]
