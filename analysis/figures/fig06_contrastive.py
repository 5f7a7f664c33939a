"""Contrastive anchors, and triplets."""

from __future__ import annotations

from matplotlib.figure import Figure

from nrtune.analysis.figures.captions import against_baseline
from nrtune.analysis.figures.data import SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import bars, boxes, legend, row_figure, row_height, strata, stratum_handles
from nrtune.analysis.wording import listed, number

TITLE = "Contrastive anchors"
_FAMILIES = ("contrastive",)
_KINDS = {"contrastive_anchor": "contrastive", "triplet_anchor": "triplet"}


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Ranking and Spearman by confidence, a row a trial, and the two kinds side by side."""
    metric = data.first(data.of(_FAMILIES), SPEARMAN)
    if metric is None:
        return None
    rows = data.ranked(_FAMILIES, metric)
    ours = data.having(data.of(_FAMILIES), metric)
    loss = ours["loss"] if "loss" in ours else ours["family"]
    groups = {f"{_KINDS.get(str(kind), str(kind))} ({len(part)})": part for kind, part in ours.groupby(loss)}
    figure, (ranking, confidence, kinds) = row_figure(rows, "ab/c", free="c", free_height=row_height(2 * len(groups)))
    bars(ranking, data, rows, metric, "a  Ranking")
    strata(confidence, data, rows, "b  By confidence")
    boxes(kinds, data, groups, metric, "c  Contrastive and triplet")
    legend(figure, rows["family"], stratum_handles())
    medians = [f"{name} {number(float(data.values(part, metric).median()))}" for name, part in groups.items()]
    return figure, sentences(
        against_baseline(data, ours, metric),
        f"Median by kind (trials): {listed(medians)}.",
        data.without(_FAMILIES, metric),
    )
