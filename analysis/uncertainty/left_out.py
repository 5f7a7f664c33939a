"""Leave-one-element-out: who would win were an element left out of the selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from nrtune.analysis.selection.use_cases import UseCase
from nrtune.analysis.selection.winners import find_winner


def left_out(
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
