"""Distributional heads: what a predicted variance does for variant effects."""

from __future__ import annotations

from matplotlib.figure import Figure

from nrtune.analysis.figures.captions import against_baseline, extreme
from nrtune.analysis.figures.data import SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import bars, legend, row_figure, scatter, strata, stratum_handles

TITLE = "Distributional heads"
_FAMILIES = ("distributional",)


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Ranking and Spearman by confidence, a row a trial, and Spearman against Pearson."""
    metric = data.first(data.of(_FAMILIES), SPEARMAN)
    if metric is None:
        return None
    rows = data.ranked(_FAMILIES, metric)
    pearson = metric.replace("spearman", "pearson")
    figure, (ranking, confidence, both) = row_figure(rows, "ab/c", free="c")
    bars(ranking, data, rows, metric, "a  Ranking")
    strata(confidence, data, rows, "b  By confidence")
    scatter(both, data, rows, metric, pearson, "c  Spearman against Pearson", rows["name"][:6])
    legend(figure, rows["family"], stratum_handles())
    ours = rows[rows["family"].isin(_FAMILIES)]
    return figure, sentences(
        against_baseline(data, ours, metric), extreme(data, ours, pearson), data.without(_FAMILIES, metric)
    )
