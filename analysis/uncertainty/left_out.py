"""Leave-one-element-out: who would win were an element, or those that overlap, left out of the selection."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from nrtune.analysis.selection.candidates import Field, configurations, needed_of, ranked
from nrtune.trainables.data.loci import locus_weights


def left_out(field: Field, trials: pd.DataFrame, select_on: str, loci: Sequence[Sequence[str]]) -> dict[str, str]:
    """The winner of a field when the selection leaves out a locus, an element or several that overlap, by their names.

    {} for a use case, or selection data, without elements. The means that are left weigh loci as the metrics do.
    """
    means = [name for name in field.rule.selection(select_on) if name.startswith("cagi5/")]  # `loci` are CAGI5's
    found: dict[str, str] = {}
    if not means:
        return found
    for locus in loci if len(loci) > 1 else ():
        others = {element: str(number) for number, other in enumerate(loci) for element in other if other != locus}
        changed = needed_of(trials, field.rule, select_on).copy()
        for mean in means:
            for name in _means_in(mean):
                columns = {f"{name.removesuffix('mean')}{element}": element for element in others}
                if not set(columns) <= set(trials):
                    return {}
                weights = locus_weights(list(others), others)
                values = trials[list(columns)].fillna(0.0)  # what is undefined counts as 0, as in the metrics
                left = values.mul([weights[element] for element in columns.values()], axis=1).sum(axis=1)
                changed[name] = left.where(trials[list(columns)].notna().any(axis=1))
            if mean.endswith("hc_lc_gap"):
                high, low = _means_in(mean)
                changed[mean] = changed[high] - changed[low]
        found[", ".join(locus)] = _winner_of(field, changed, select_on)
    return found


def _winner_of(field: Field, changed: pd.DataFrame, select_on: str) -> str:
    """The best of a field's own candidates by changed values: of as many trainings, whoever leads the search then."""
    rows = configurations(changed, fresh=field.confirmed, pooled=select_on != "challenge")
    rows = rows[rows["name"].isin(field.compared["name"])]

    def again(of: pd.DataFrame) -> pd.DataFrame:
        return rows[rows["name"].isin(of["name"])]

    same = dataclasses.replace(
        field,
        complete=rows,
        candidates=again(field.candidates),
        baselines=again(field.baselines),
        barred=again(field.barred),
    )
    return str(ranked(same, select_on)["name"].iloc[0])


def _means_in(metric: str) -> tuple[str, ...]:
    """The means over elements that a benchmark's metric is made of."""
    if metric.endswith("hc_lc_gap"):
        part = metric.removesuffix("hc_lc_gap")
        return f"{part}spearman/hc/mean", f"{part}spearman/lc/mean"
    return (metric,)
