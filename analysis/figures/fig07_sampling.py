"""Sampling: whether quantiles, curricula or hard negatives help."""

from __future__ import annotations

from matplotlib.figure import Figure

from nrtune.analysis.figures.captions import against_baseline
from nrtune.analysis.figures.data import SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import (
    bars,
    boxes,
    group_by_family,
    legend,
    row_figure,
    row_height,
    strata,
    stratum_handles,
)
from nrtune.analysis.wording import listed, number

TITLE = "Sampling"
_FAMILIES = ("quantile_sampling", "curriculum", "hard_negative")


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Ranking and Spearman by confidence, a row a trial, and a box a family."""
    metric = data.first(data.of(_FAMILIES), SPEARMAN)
    if metric is None:
        return None
    rows = data.ranked(_FAMILIES, metric)
    groups = group_by_family(data, _FAMILIES, metric)
    figure, (ranking, confidence, families) = row_figure(
        rows, "ab/c", free="c", free_height=row_height(2 * len(groups))
    )
    bars(ranking, data, rows, metric, "a  Ranking")
    strata(confidence, data, rows, "b  By confidence")
    boxes(families, data, groups, metric, "c  By family")
    legend(figure, rows["family"], stratum_handles())
    medians = [f"{name} {number(float(data.values(part, metric).median()))}" for name, part in groups.items()]
    return figure, sentences(
        against_baseline(data, data.of(_FAMILIES), metric),
        f"Median by family (trials): {listed(medians)}.",
        data.without(_FAMILIES, metric),
    )
