"""Sentences of captions, made from the data."""

from __future__ import annotations

import pandas as pd

from nrtune.analysis.figures.data import LOWER_IS_BETTER, FigureData
from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.wording import count, number, phrase


def against_baseline(data: FigureData, rows: pd.DataFrame, metric: str) -> str:
    """The best of these trials by a metric, how many trials it is the best of, and what the baseline has."""
    best = data.best(rows, metric)
    if best is None:
        return ""
    of = len(data.having(rows, metric))
    said = f"Of {count(of, 'trial')} {best['label']} has the {_best(metric)} {phrase(metric)}, {number(best[metric])}"
    if data.baseline is None:
        return f"{said}; there is no baseline to compare with."
    reference = float(data.values(data.baseline.to_frame().T, metric).iloc[0])
    if reference != reference or best["family"] == BASELINE:
        return f"{said}."
    change = number(float(best[metric]) - reference, signed=True)
    return f"{said}; the baseline ({data.baseline['label']}) has {number(reference)}, a difference of {change}."


def extreme(data: FigureData, rows: pd.DataFrame, metric: str) -> str:
    """The best of these trials by a metric, in a short sentence."""
    best = data.best(rows, metric)
    return (
        ""
        if best is None
        else f"{_best(metric).capitalize()} {phrase(metric)}: {best['label']}, {number(best[metric])}."
    )


def _best(metric: str) -> str:
    return "lowest" if metric in LOWER_IS_BETTER else "highest"
