"""What a winner is picked from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from nrtune.analysis.selection.configurations import BASELINE as BASELINE
from nrtune.analysis.selection.configurations import MIN_SEEDS as MIN_SEEDS
from nrtune.analysis.selection.configurations import SEED as SEED
from nrtune.analysis.selection.configurations import configurations as configurations
from nrtune.analysis.selection.seed_variance import SeedVariance
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, fitted, selection_metric
from nrtune.trainables.core.errors import UserError, suggest

ENCODER = "encoder"

BELOW = 2.0
"""Standard errors over seeds by which a candidate may be below the best baseline at a use case's floor."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """What a winner is picked from, a row a configuration, as `configurations` makes them.

    scored: all that were trained to their end or scored all the same. complete: those that have the rule's metrics.
    candidates, baselines: what of the complete competes, and what it is compared to. barred: what may not win, as it is below
    the baseline at the floor. confirmed: whether all candidates have MIN_SEEDS seeds. note: what a reader must know, or "".
    """

    rule: UseCase
    scored: pd.DataFrame
    complete: pd.DataFrame
    candidates: pd.DataFrame
    baselines: pd.DataFrame
    barred: pd.DataFrame
    confirmed: bool
    note: str

    @property
    def compared(self) -> pd.DataFrame:
        """All three, in the order of the table."""
        these = [*self.candidates.index, *self.baselines.index, *self.barred.index]
        return self.complete[self.complete.index.isin(these)]


def field_of(
    trials: pd.DataFrame, use_case: str, select_on: str, use_cases: Mapping[str, UseCase] = USE_CASES
) -> Field:
    """What the winner of a use case is picked from.

    Once a use case's finalists were trained again, those that have MIN_SEEDS fresh seeds compete alone, by their means. They
    are finalists of this use case if the best of the search is among what was trained again: replicates made for another
    one are left aside, since a mean over fresh seeds is lower than the value that something was picked by.

    Raises UserError for an unknown use case, and where no finished trial has its metrics, or its floor.
    """
    if use_case not in use_cases:
        raise UserError(f"unknown use case {use_case!r}{suggest(use_case, use_cases)}")
    rule = fitted(use_cases[use_case], trials)
    trials = needed_of(trials, rule, select_on)
    literal = select_on == "challenge"  # the study's protocol: each training is a candidate, and no floor
    searched = configurations(trials, fresh=False, pooled=not literal)
    field = _field(use_case, rule, searched, select_on)
    again = _field(use_case, rule, configurations(trials, pooled=not literal), select_on)
    if rule.floor and not literal and not field.baselines.empty:
        floor = selection_metric(rule.floor, select_on)
        if floor not in trials:
            raise UserError(f"use case {use_case}: no finished trial has its floor {floor}")
        # As the search's finalists were picked, which no seeds that they got since may change.
        known = SeedVariance(without_fresh_candidates(trials), searched)
        field = _above_floor(field, floor, known)
        again = _above_floor(again, floor, SeedVariance(trials, searched))
    enough = again.candidates["replicates"] >= MIN_SEEDS
    leader = ranked(field, select_on)["name"].iloc[0]
    retrained = again.scored.loc[again.scored["name"] == leader, "fresh"].iloc[0] > 0
    if again.note or not (enough.all() or (enough.any() and retrained)):
        return field
    return dataclasses.replace(
        again,
        candidates=again.candidates[enough],
        baselines=_with_seeds(again.baselines),
        barred=again.barred[again.barred["replicates"] >= MIN_SEEDS],
        confirmed=True,
    )


def without_fresh_candidates(trials: pd.DataFrame) -> pd.DataFrame:
    """A table without the candidates' trainings with fresh seeds; the baseline's are as old as the search."""
    if "replicate_of" not in trials:
        return trials
    return trials[trials["replicate_of"].isna() | (trials["family"] == BASELINE)]


def _with_seeds(baselines: pd.DataFrame) -> pd.DataFrame:
    """The baselines that have MIN_SEEDS seeds; on an encoder on which none has, all."""
    enough = baselines["replicates"] >= MIN_SEEDS
    if ENCODER not in baselines:
        return baselines[enough] if enough.any() else baselines
    return baselines[enough | ~baselines[ENCODER].isin(baselines.loc[enough, ENCODER])]


def needed_of(trials: pd.DataFrame, rule: UseCase, select_on: str) -> pd.DataFrame:
    """A table without the metrics, often hundreds, that picking a winner does not look at."""
    further = [selection_metric(name, select_on) for name in (*rule.ties, *([rule.floor] if rule.floor else []))]
    metrics = {*rule.metrics, *rule.selection(select_on), *further}
    return trials[[name for name in trials if "/" not in str(name) or name in metrics]]


def _field(use_case: str, rule: UseCase, scored: pd.DataFrame, select_on: str) -> Field:
    needed = list(dict.fromkeys([*rule.selection(select_on), *rule.metrics]))
    complete = scored.dropna(subset=needed) if set(needed) <= set(scored) else scored.iloc[:0]
    if complete.empty:
        absent = next((name for name in needed if name not in scored or scored[name].isna().all()), needed[0])
        raise UserError(f"use case {use_case}: no finished trial has {absent}")
    is_baseline = complete["family"] == BASELINE
    candidates, baselines, note = complete[~is_baseline], complete[is_baseline], ""
    if candidates.empty:
        candidates, note = baselines, "only the baseline has finished"
    return Field(
        rule=rule,
        scored=scored,
        complete=complete,
        candidates=candidates,
        baselines=baselines,
        barred=complete.iloc[:0],
        confirmed=False,
        note=note,
    )


def _above_floor(field: Field, floor: str, seeds: SeedVariance) -> Field:
    """The field without the candidates that are below the best baseline at a floor by more than seeds explain.

    On data that selection may look at, so that nothing is tested here. Where no seeds tell, the baseline's value is the floor.
    """
    scored = field.baselines.dropna(subset=[floor])
    if field.note or scored.empty:
        return field
    best = scored.sort_values(floor).iloc[-1]
    of_baseline = seeds.of(floor, BASELINE).variance / max(best["replicates"], 1)
    variance = {family: seeds.of(floor, family).variance for family in field.candidates["family"].unique()}
    rows = zip(field.candidates["family"], field.candidates["replicates"], strict=True)
    errors = [math.sqrt(of_baseline + variance[family] / max(count, 1)) for family, count in rows]
    values = field.candidates[floor].astype(float).to_numpy()
    is_barred = ~(values >= float(best[floor]) - BELOW * np.array(errors))
    barred, left = field.candidates[is_barred], field.candidates[~is_barred]
    if left.empty:
        note = f"all other candidates are below the baseline in {floor}"
        return dataclasses.replace(field, candidates=field.baselines, barred=barred, note=note)
    return dataclasses.replace(field, candidates=left, barred=barred)


def selection_values(trials: pd.DataFrame, rule: UseCase, select_on: str) -> pd.Series[float]:
    """Each trial's selection value: the metric itself, or the mean percentile rank over several."""
    if not rule.composite:
        return trials[rule.selection(select_on)[0]].astype(float)
    ranks = [column.rank(pct=True) for column in _oriented_metrics(trials, rule, select_on)]
    mean: pd.Series[float] = pd.concat(ranks, axis=1).mean(axis=1)
    return mean


def ranked(field: Field, select_on: str, *, baselines: bool = False) -> pd.DataFrame:
    """A field's candidates, or its baselines, best first; ties fall to the rule's other metrics, then to the earlier trial."""
    rule, rows = field.rule, field.baselines if baselines else field.candidates
    if rule.composite:
        key = selection_values(field.compared, rule, select_on).loc[rows.index]
    else:
        key = _oriented_metrics(rows, rule, select_on)[0]
    order = pd.DataFrame({"key": key})
    for number, tie in enumerate(rule.ties):
        name = selection_metric(tie, select_on)
        order[f"tie{number}"] = rows[name] if name in rows else 0.0
    keys = [str(column) for column in order]
    return rows.loc[order.sort_values(keys, ascending=False, kind="stable").index]


def _oriented_metrics(trials: pd.DataFrame, rule: UseCase, select_on: str) -> list[pd.Series[float]]:
    """The rule's selection metrics, each turned so that larger is better."""
    names = zip(rule.metrics, rule.selection(select_on), strict=True)
    return [rule.oriented(reported, trials[name].astype(float)) for reported, name in names]
