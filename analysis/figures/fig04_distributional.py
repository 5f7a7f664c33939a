"""Distributional heads: what a predicted variance does for variant effects."""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis.figures.captions import against_baseline, extreme
from analysis.figures.data import SPEARMAN, FigureData, sentences
from analysis.figures.panels import bars, legend, row_figure, scatter, strata, stratum_handles
from analysis.figures.style import TWO_COLUMNS

TITLE = "Distributional heads"
_FAMILIES = ("distributional",)


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Ranking and Spearman by confidence, a row a trial, and Spearman against Pearson."""
    metric = data.first(data.of(_FAMILIES), SPEARMAN)
    if metric is None:
        return None
    rows = data.ranked(_FAMILIES, metric)
    pearson = metric.replace("spearman", "pearson")
    figure, (ranking, confidence, both) = row_figure(rows, TWO_COLUMNS, (1, 1, 1.1), free=(2,))
    bars(ranking, data, rows, metric, "a  Ranking")
    strata(confidence, data, rows, "b  By confidence")
    scatter(both, data, rows, metric, pearson, "c  Spearman against Pearson", rows["name"][:6])
    legend(figure, rows["family"], 6, stratum_handles())
    ours = rows[rows["family"].isin(_FAMILIES)]
    return figure, sentences(
        against_baseline(data, ours, metric), extreme(data, ours, pearson), data.without(_FAMILIES, metric)
    )
