"""Rank stability: whether a ranking loss that distrusts noisy pairs helps, and ties its errors less to noise."""

from __future__ import annotations

from matplotlib.figure import Figure

from nrtune.analysis.figures.captions import against_baseline, extreme
from nrtune.analysis.figures.data import NOISE, SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import bars, legend, row_figure, strata, stratum_handles

TITLE = "Rank stability"
_FAMILIES = ("rank_stability",)


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Ranking, noise correlation, and Spearman by confidence, a row a trial."""
    metric = data.first(data.of(_FAMILIES), SPEARMAN)
    if metric is None:
        return None
    rows = data.ranked(_FAMILIES, metric)
    figure, (ranking, noise, confidence) = row_figure(rows, "ab/c")
    bars(ranking, data, rows, metric, "a  Ranking")
    bars(noise, data, rows, NOISE, "b  Noise correlation")
    strata(confidence, data, rows, "c  By confidence")
    legend(figure, rows["family"], stratum_handles())
    ours = rows[rows["family"].isin(_FAMILIES)]
    return figure, sentences(
        against_baseline(data, ours, metric), extreme(data, ours, NOISE), data.without(_FAMILIES, metric)
    )
