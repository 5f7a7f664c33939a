"""What a winner is picked from: configurations, each with the trainings that its values are means over."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import pandas as pd

from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, fitted, selection_metric
from nrtune.analysis.store.records import FINISHED, SCORED
from nrtune.analysis.store.table import split_columns
from nrtune.trainables.core.errors import UserError, suggest

BASELINE = "baseline"

MIN_SEEDS = 3
"""Nothing is claimed of a winner, or against a baseline, with fewer; so many finished replicates confirm a candidate."""

SEED = "seed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """What a winner is picked from, a row a configuration, as `configurations` makes them.

    scored: all that were trained to their end or scored all the same. complete: those that have the rule's metrics.
    candidates, baselines: what of the complete competes, and what it is compared to. barred: what may not win. confirmed:
    whether all candidates have MIN_SEEDS seeds. note: what a reader must know, or "".
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
    trials: pd.DataFrame,
    use_case: str,
    select_on: str,
    use_cases: Mapping[str, UseCase] = USE_CASES,
    barred: Collection[str] = (),
) -> Field:
    """What the winner of a use case is picked from.

    Once a use case's finalists were trained again, those that have MIN_SEEDS fresh seeds compete alone, by their means. They
    are finalists of this use case if the best of the search is among what was trained again: replicates made for another
    one are left aside, since a mean over fresh seeds is lower than the value that something was picked by.

    barred: names of candidates that may not win. Raises UserError for an unknown use case, and where no finished trial has its
    metrics.
    """
    if use_case not in use_cases:
        raise UserError(f"unknown use case {use_case!r}{suggest(use_case, use_cases)}")
    rule = fitted(use_cases[use_case], trials)
    literal = select_on == "challenge"  # the study's protocol: each training is a candidate
    field = _field(use_case, rule, configurations(trials, fresh=False, pooled=not literal), select_on)
    again = _field(use_case, rule, configurations(trials, pooled=not literal), select_on)
    enough = again.candidates["replicates"] >= MIN_SEEDS
    leader = ranked(field, select_on)["name"].iloc[0]
    retrained = again.scored.loc[again.scored["name"] == leader, "fresh"].iloc[0] > 0
    if enough.all() or (enough.any() and retrained):
        baselines = again.baselines[again.baselines["replicates"] >= MIN_SEEDS]
        field = dataclasses.replace(
            again,
            candidates=again.candidates[enough],
            baselines=again.baselines if baselines.empty else baselines,
            confirmed=True,
        )
    is_barred = field.candidates["name"].isin(barred)
    left = field.candidates[~is_barred]
    if left.empty:
        note = f"all other candidates are significantly worse than the baseline in {rule.floor}"
        return dataclasses.replace(field, candidates=field.baselines, barred=field.candidates, note=note)
    return dataclasses.replace(field, candidates=left, barred=field.candidates[is_barred])


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


def configurations(trials: pd.DataFrame, *, fresh: bool = True, pooled: bool = True) -> pd.DataFrame:
    """The scored trials, a row a configuration; another name of a trial that is there is no second configuration.

    pooled: trainings that differ in their seeds alone, as published ones may, are one configuration, called as the first of
    them, with means over them. fresh: one that was trained again with MIN_SEEDS fresh seeds or more has means over those
    alone: it was chosen by the others. A mean of which a training's value is undefined is undefined.

    Columns besides: replicates, how many trainings the row's values are means over, 0 for one; trainings, their names; fresh,
    how many with fresh seeds there are; failed, how many of those failed.
    """
    ended = trials[trials["same_as"].isna()] if "same_as" in trials else trials
    ended = ended if "replicate_of" in ended else ended.assign(replicate_of=None)
    is_scored, again = ended["status"].isin([FINISHED, SCORED]), ended["replicate_of"].notna()
    own, replicates = ended[is_scored & ~again], ended[is_scored & again]
    groups = _by_configuration(own) if pooled else {name: [name] for name in own["name"]}
    members = {first: tuple(names) for first, names in groups.items()}
    counts, lost = (of["replicate_of"].value_counts() for of in (replicates, ended[again & ~is_scored]))
    if fresh:
        members |= {
            name: tuple(of.sort_values(SEED)["name"] if SEED in of else of["name"])
            for name, of in replicates.groupby("replicate_of")
            if len(of) >= MIN_SEEDS and name in members
        }  # fmt: skip
    found = own[own["name"].isin(members)].copy()
    names = found["name"].astype(str)
    found["trainings"] = [members[name] for name in names]
    found["replicates"] = [len(members[name]) if len(members[name]) > 1 else 0 for name in names]
    found["fresh"] = [int(counts.get(name, 0)) for name in names]
    found["failed"] = [int(lost.get(name, 0)) for name in names]
    several = found.index[found["replicates"] > 0]
    if len(several):
        metrics = [name for name in map(str, found.select_dtypes("number")) if "/" in name]
        by_name = ended.set_index("name")[metrics]
        means = [by_name.loc[list(of)].mean(skipna=False) for of in found.loc[several, "trainings"]]
        found.loc[several, metrics] = pd.DataFrame(means, index=several)
    return found


def _by_configuration(trials: pd.DataFrame) -> dict[str, list[str]]:
    """Trainings that differ in their seeds alone, by the first of each; a table without seeds does not tell."""
    if SEED not in trials:
        return {str(name): [str(name)] for name in trials["name"]}
    parameters = [name for name in split_columns(map(str, trials.columns))[0] if name != SEED]
    rows = trials[["family", *parameters]].to_numpy(object).tolist()
    groups: dict[object, dict[object, str]] = {}  # by configuration, by seed
    for row, seed, name in zip(rows, trials[SEED], trials["name"], strict=True):
        # Of a parameter that a trial does not have, a table holds NaN, which is unlike itself.
        key = tuple(value if value == value else None for value in row)
        if seed in groups.get(key, {}):
            key = (*key, str(name))
        groups.setdefault(key, {})[seed] = str(name)
    return {names[0]: names for of in groups.values() for names in [list(of.values())]}


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
