"""Families over four metrics: which one is good at what."""

from __future__ import annotations

from matplotlib.figure import Figure

from nrtune.analysis.figures.data import LOWER_IS_BETTER, NOISE, PEARSON, SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import boxes, group_by_family, row_height
from nrtune.analysis.figures.style import family_title, new_figure
from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.wording import label, number, phrase

TITLE = "Families over four metrics"
_METRICS = (SPEARMAN, PEARSON, "test/spearman", NOISE)


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """A box a family and every trial, a panel a metric; the dotted line is the baseline."""
    metrics = [metric for metric in _METRICS if not data.having(data.scored, metric).empty]
    if not metrics:
        return None
    families = len(data.scored["family"].unique())
    figure = new_figure(len(metrics) * row_height(families))
    axes = figure.subplots(len(metrics), squeeze=False)[:, 0]
    said: list[str] = []
    for ax, letter, metric in zip(axes, "abcd", metrics, strict=False):
        groups = group_by_family(data, data.scored["family"], metric)
        boxes(ax, data, groups, metric, f"{letter}  {label(metric).removesuffix(', challenge').removesuffix(', test')}")
        medians = {rows["family"].iloc[0]: float(data.values(rows, metric).median()) for rows in groups.values()}
        if len(medians) > 1:
            medians.pop(BASELINE, None)
        best = (min if metric in LOWER_IS_BETTER else max)(medians, key=lambda family: medians[family])
        said.append(f"{family_title(best)} for {phrase(metric)} ({number(medians[best])})")
    return figure, sentences(
        f"Best median: {'; '.join(said)}. In brackets beside a family: its trials that have the metric.",
        data.without(None),
    )
