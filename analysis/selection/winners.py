"""Which trial is best at a use case, and what it is picked from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pandas as pd

from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, selection_metric
from nrtune.analysis.store.records import FINISHED, SCORED
from nrtune.trainables.core.errors import UserError, suggest

BASELINE = "baseline"

MIN_REPLICATES = 2
"""A configuration with so many finished replicates is judged by their mean."""

MIN_SEEDS = 3
"""Nothing is claimed of a winner, or against a baseline, with fewer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Winner:
    """The best trial of a use case.

    selected_by: its selection value. reported: each reported metric of the winner. baseline, baseline_reported: the
    baseline trial selected in the same way, None where there is none. candidates: how many trials it was picked from.
    without_metric: trials left out for want of a metric. aliases: further names of the winner. replicates: the seeds that
    its values are means over, 0 for those of a single training. note: what a reader must know, or "".
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
    aliases: tuple[str, ...]
    replicates: int
    note: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """What a winner is picked from, a row a configuration, with its metrics or their means over replicates.

    scored: all that were trained to their end or scored all the same. complete: those that have the rule's metrics.
    candidates, baselines: what of the complete competes, and what it is compared to. note: as Winner's.
    """

    rule: UseCase
    scored: pd.DataFrame
    complete: pd.DataFrame
    candidates: pd.DataFrame
    baselines: pd.DataFrame
    note: str

    @property
    def compared(self) -> pd.DataFrame:
        """Candidates and baselines, in the order of the table."""
        return self.complete[self.complete.index.isin([*self.candidates.index, *self.baselines.index])]


def find_winner(
    trials: pd.DataFrame, use_case: str, select_on: str, use_cases: Mapping[str, UseCase] = USE_CASES
) -> Winner:
    """Pick the best trial of a use case from a table of trials (columns name, family, status, same_as and metrics).

    The baseline family is the reference, not a candidate, unless nothing else has finished. Where trials were replicated,
    those are the candidates, by their means over the replicates.

    Raises UserError for an unknown use case and where no finished trial has its metrics.
    """
    field = field_of(trials, use_case, select_on, use_cases)
    rule = field.rule
    value = selection_values(field.compared, rule, select_on)
    best = _ranked(field.candidates, value, rule, select_on).iloc[0]
    baseline = None if field.baselines.empty else _ranked(field.baselines, value, rule, select_on).iloc[0]
    same = trials[trials["same_as"] == best["name"]] if "same_as" in trials else trials.iloc[:0]
    return Winner(
        use_case=use_case,
        trial=str(best["name"]),
        select_on=select_on,
        selected_by=float(value.loc[field.compared["name"] == best["name"]].iloc[0]),
        reported={name: float(best[name]) for name in rule.metrics},
        baseline=None if baseline is None else str(baseline["name"]),
        baseline_reported={} if baseline is None else {name: float(baseline[name]) for name in rule.metrics},
        candidates=len(field.candidates),
        without_metric=len(field.scored) - len(field.complete),
        aliases=tuple(map(str, same["name"])),
        replicates=int(best["replicates"]),
        note=field.note,
    )


def finalists(
    trials: pd.DataFrame, use_case: str, select_on: str, top: int, use_cases: Mapping[str, UseCase] = USE_CASES
) -> list[str]:
    """Names of the `top` best candidates of a use case, best first, each by its own training, replicated or not.

    Raises UserError where `find_winner` does.
    """
    own = trials[trials["replicate_of"].isna()] if "replicate_of" in trials else trials
    field = field_of(own, use_case, select_on, use_cases)
    value = selection_values(field.complete, field.rule, select_on)
    ranked = _ranked(field.candidates, value, field.rule, select_on)
    return [str(name) for name in ranked["name"].iloc[:top]]


def field_of(
    trials: pd.DataFrame, use_case: str, select_on: str, use_cases: Mapping[str, UseCase] = USE_CASES
) -> Field:
    """What the winner of a use case is picked from. Raises UserError as `find_winner`."""
    if use_case not in use_cases:
        raise UserError(f"unknown use case {use_case!r}{suggest(use_case, use_cases)}")
    rule = use_cases[use_case]
    scored = configurations(trials)
    needed = list(dict.fromkeys([*rule.selection(select_on), *rule.metrics]))
    complete = scored.dropna(subset=needed) if set(needed) <= set(scored) else scored.iloc[:0]
    if complete.empty:
        absent = next((name for name in needed if name not in scored or scored[name].isna().all()), needed[0])
        raise UserError(f"use case {use_case}: no finished trial has {absent}")
    is_baseline = complete["family"] == BASELINE
    candidates, baselines, note = complete[~is_baseline], complete[is_baseline], ""
    if candidates.empty:
        candidates, note = baselines, "only the baseline has finished"
    replicated = candidates[candidates["replicates"] >= MIN_REPLICATES]
    if not replicated.empty:
        candidates = replicated
        if (baselines["replicates"] >= MIN_REPLICATES).any():
            baselines = baselines[baselines["replicates"] >= MIN_REPLICATES]
    return Field(rule=rule, scored=scored, complete=complete, candidates=candidates, baselines=baselines, note=note)


def selection_values(trials: pd.DataFrame, rule: UseCase, select_on: str) -> pd.Series[float]:
    """Each trial's selection value: the metric itself, or the mean percentile rank over several."""
    if not rule.composite:
        return trials[rule.selection(select_on)[0]].astype(float)
    ranks = [column.rank(pct=True) for column in _oriented_metrics(trials, rule, select_on)]
    mean: pd.Series[float] = pd.concat(ranks, axis=1).mean(axis=1)
    return mean


def configurations(trials: pd.DataFrame) -> pd.DataFrame:
    """The scored trials, a row a configuration, with means over its replicates where there are enough of them.

    The column `replicates` counts them. Another name of a trial that is there is no second configuration.
    """
    scored = trials[trials["status"].isin([FINISHED, SCORED])]
    if "same_as" in scored:
        scored = scored[scored["same_as"].isna()]
    if "replicate_of" not in scored:
        return scored.assign(replicates=0)
    own, replicates = scored[scored["replicate_of"].isna()], scored[scored["replicate_of"].notna()]
    counts = replicates["replicate_of"].value_counts()
    own = own.assign(replicates=own["name"].map(counts).fillna(0).astype(int))
    metrics = [name for name in map(str, own.select_dtypes("number")) if "/" in name]
    means = replicates.groupby("replicate_of")[metrics].mean()
    enough = own["replicates"] >= MIN_REPLICATES
    if enough.any():
        own = own.copy()
        own.loc[enough, metrics] = means.loc[own.loc[enough, "name"]].to_numpy()
    return own


def _oriented_metrics(trials: pd.DataFrame, rule: UseCase, select_on: str) -> list[pd.Series[float]]:
    """The rule's selection metrics, each turned so that larger is better."""
    names = zip(rule.metrics, rule.selection(select_on), strict=True)
    return [rule.oriented(reported, trials[name].astype(float)) for reported, name in names]


def _ranked(trials: pd.DataFrame, value: pd.Series[float], rule: UseCase, select_on: str) -> pd.DataFrame:
    """The rows, best first; ties fall to the rule's other metrics on selection data, then to the earlier trial."""
    key = value.loc[trials.index] if rule.composite else _oriented_metrics(trials, rule, select_on)[0]
    order = pd.DataFrame({"key": key})
    for number, tie in enumerate(rule.ties):
        name = selection_metric(tie, select_on)
        order[f"tie{number}"] = trials[name] if name in trials else 0.0
    keys = [str(column) for column in order]
    return trials.loc[order.sort_values(keys, ascending=False, kind="stable").index]
