"""Test against CAGI5: whether a better fit to held-out sequences means better variant effects."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from nrtune.analysis.figures.data import PEARSON, SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import legend, scatter
from nrtune.analysis.figures.style import new_figure
from nrtune.analysis.wording import count, number

TITLE = "Test sequences against CAGI5"
_PANELS = (("Spearman", "test/spearman", SPEARMAN), ("Pearson", "test/pearson", PEARSON))


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Two scatters, Spearman and Pearson; the best three by CAGI5, the best by test and the baseline are named."""
    panels = [(title, x, y, data.having(data.scored, x, y)) for title, x, y in _PANELS]
    panels = [panel for panel in panels if not panel[-1].empty]
    if not panels:
        return None
    figure = new_figure(2.6 * len(panels) + 0.5)
    axes = figure.subplots(len(panels), squeeze=False)[:, 0]
    said = []
    for ax, (title, x, y, rows) in zip(axes, panels, strict=True):
        best = rows.loc[data.values(rows, y).sort_values(ascending=False).index[:3], "name"]
        baseline = [] if data.baseline is None else [str(data.baseline["name"])]
        scatter(ax, data, rows, x, y, title, [*baseline, *best, rows["name"].iloc[int(data.values(rows, x).argmax())]])
        agreement = data.agreement(rows, x, y)
        said.append(
            f"{title}: {count(len(rows), 'trial')}"
            + ("" if math.isnan(agreement) else f", rank correlation of the two metrics {number(agreement)}")
        )
    legend(figure, panels[0][-1]["family"])
    return figure, sentences(". ".join(said) + ".", data.without(None, *_PANELS[0][1:]))
