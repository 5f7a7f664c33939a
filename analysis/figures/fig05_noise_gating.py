"""Noise gating and its ablations: how much of the ranking term is best."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrtune.analysis.figures.captions import against_baseline, extreme
from nrtune.analysis.figures.data import SPEARMAN, FigureData, sentences
from nrtune.analysis.figures.panels import bars, legend, row_figure, scatter
from nrtune.analysis.figures.style import GREY
from nrtune.analysis.wording import listed, number
from nrtune.search_spaces import FAMILIES

TITLE = "Noise gating and ablations"
_FAMILIES = ("noise_gated", "ablation")
_ALPHA = "loss.alpha"


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Ranking by Spearman with Pearson beside it, a row a trial, and CAGI5 Spearman over alpha."""
    metric = data.first(data.of(_FAMILIES), SPEARMAN)
    if metric is None:
        return None
    rows = data.ranked(_FAMILIES, metric)
    pearson = metric.replace("spearman", "pearson")
    ours = rows[rows["family"].isin(_FAMILIES)]
    swept = data.having(ours, _ALPHA, metric)
    figure, axes = row_figure(rows, "ab/c" if len(swept) else "ab", free="c")
    bars(axes[0], data, rows, metric, "a  Ranking")
    bars(axes[1], data, rows, pearson, "b  Pearson")
    said = _sweep(axes[2], data, swept, metric) if len(swept) else "No trial has an alpha to sweep."
    legend(figure, rows["family"])
    return figure, sentences(
        against_baseline(data, ours, metric), extreme(data, ours, pearson), said, data.without(_FAMILIES, metric)
    )


def _sweep(ax: Axes, data: FigureData, rows: pd.DataFrame, metric: str) -> str:
    """Trials over alpha, with a line through the means of those that differ in alpha and seed alone."""
    scatter(ax, data, rows, _ALPHA, metric, "c  Weight of the ranking term", rows["name"][:3])
    ax.set_xlabel("alpha")
    line = _alike(rows)
    if line is None:
        return ""
    means = data.values(line, metric).groupby(data.values(line, _ALPHA)).mean()
    ax.plot(means.index, means, color=GREY, linewidth=0.8, zorder=2)
    shown = listed([f"{alpha:g}: {number(value)}" for alpha, value in means.items()])
    return f"Line: means of {len(line)} trials that differ in alpha and seed alone ({shown})."


def _alike(rows: pd.DataFrame) -> pd.DataFrame | None:
    """The largest group of trials that differ in alpha and seed alone, if it has three alphas or more.

    A parameter that a table leaves out has its default.
    """
    other = [
        c
        for c in map(str, rows)
        if c.startswith(("loss", "sampler", "encoder", "head", "lr", "weight_decay")) and c != _ALPHA
    ]
    defaults = {parameter.name: parameter.default for parameter in FAMILIES.get("noise_gated").space}
    plain = rows[other].astype(object)
    for name in other:
        plain[name] = plain[name].where(plain[name].notna(), str(defaults.get(name, "")))
    keys = plain.astype(str).agg("|".join, axis=1)
    groups = [group for _, group in rows.groupby(keys) if group[_ALPHA].nunique() >= 3]
    return groups[int(np.argmax([len(group) for group in groups]))] if groups else None
