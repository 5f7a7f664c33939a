"""Budget: what training cost, and when the best was found."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrtune.analysis.figures.data import FigureData, sentences
from nrtune.analysis.figures.panels import FREE, legend
from nrtune.analysis.figures.style import INK, in_order, look, new_figure
from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.store.records import FINISHED, SCORED
from nrtune.analysis.wording import count, label, number

TITLE = "Budget spent and best so far"


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """The best objective so far over the seconds of training spent, overall and for each family on its own clock."""
    metric = data.objective
    order = data.ended["ended"].astype(str).sort_values(kind="stable").index
    trials = data.ended.loc[order]
    value = data.values(trials, metric).where(trials["status"].isin((FINISHED, SCORED)) & trials["replicate_of"].isna())
    seconds = pd.to_numeric(trials["seconds"], errors="coerce").fillna(0.0)
    if value.isna().all() or not seconds.sum():
        return None
    unit, size = next(
        (u, s) for u, s in (("hours", 3600), ("minutes", 60), ("seconds", 1)) if seconds.sum() >= 2 * s or s == 1
    )
    figure = new_figure(2 * FREE + 0.4)
    overall, by_family = figure.subplots(2)
    spent = seconds.cumsum() / size
    _steps(overall, spent, value, INK, 1.0)
    for family in in_order(trials["family"]):
        mine = trials["family"] == family
        colour, marker = look(family)
        overall.plot(
            spent[mine],
            value[mine],
            marker,
            color=colour,
            markersize=_size(family, 2.6),
            markeredgewidth=0,
            linestyle="none",
        )
        if value[mine].notna().any():
            _steps(by_family, seconds[mine].cumsum() / size, value[mine], colour, 0.9, marker, _size(family, 3))
    for ax, title, axis in (
        (overall, "a  All trials", "Training so far"),
        (by_family, "b  By family", "Training of the family"),
    ):
        ax.set_title(title)
        ax.set_xlabel(f"{axis}, {unit}")
        ax.set_xlim(left=-0.02 * ax.get_xlim()[1])
    overall.set_ylabel(label(metric))
    legend(figure, trials.loc[value.notna(), "family"])
    best = int(value.argmax())
    lost = float(seconds[value.isna()].sum())
    same = "The table does not say when trials ended: they are in its order." if trials["ended"].nunique() <= 1 else ""
    return figure, sentences(
        f"{count(len(trials), 'trial')} took {seconds.sum() / size:.1f} {unit} of training, {lost / size:.1f} of it in"
        f" trials without a score; the best, {trials['label'].iloc[best]} ({number(value.iloc[best])}),"
        f" ended after {spent.iloc[best]:.1f}.",
        same if len(trials) > 1 else "",
    )


def _size(family: str, size: float) -> float:
    return 6.0 if family == BASELINE else size


def _steps(
    ax: Axes,
    spent: pd.Series[float],
    value: pd.Series[float],
    colour: str,
    width: float,
    marker: str = "",
    size: float = 0,
) -> None:
    """The best so far from the first score on; a marker where it rises."""
    best = value.cummax().ffill()
    known = best.notna()
    rises = np.flatnonzero(np.diff(best[known], prepend=-np.inf) > 0)
    ax.step(spent[known], best[known], where="post", color=colour, linewidth=width, marker=marker or None, markersize=size,
            markeredgewidth=0, markevery=[int(place) for place in rises])  # fmt: skip
