"""The gap between variants of high and of low confidence."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from nrtune.analysis.figures.data import CAGI5, GAP, FigureData, sentences
from nrtune.analysis.figures.panels import bars, legend, row_figure, strata, stratum_handles
from nrtune.analysis.wording import count, number

TITLE = "HC − LC gap"
_HIGH = f"{CAGI5}/spearman/hc/mean"
_MOST = 50


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """The gap, smallest first, beside what it is made of: a gap is also small where HC is poor."""
    rows = data.having(data.scored, GAP)
    if rows.empty:
        return None
    order = data.values(rows, GAP).abs().sort_values(kind="stable").index
    baseline = None if data.baseline is None else data.baseline.name
    shown = rows.loc[[index for place, index in enumerate(order) if place < _MOST or index == baseline]]
    figure, (gap, made_of) = row_figure(shown, "ab")
    bars(gap, data, shown, GAP, "a  Gap")
    strata(made_of, data, shown, "b  What it is made of")
    legend(figure, shown["family"], stratum_handles())
    first = shown.iloc[0]
    rank = data.values(rows, _HIGH).rank(ascending=False, method="min")[rows["name"] == first["name"]].iloc[0]
    return figure, sentences(
        f"The smallest gap of {count(len(rows), 'trial')} is that of {first['label']}, {number(float(first[GAP]))}"
        + (f"; by HC Spearman that trial is number {rank:.0f}." if math.isfinite(rank) else "."),
        f"The median gap is {number(float(data.values(rows, GAP).median()))}.",
        data.without(None, GAP),
    )
