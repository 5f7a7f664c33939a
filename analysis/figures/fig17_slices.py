"""Parameter slices: the objective over each searched parameter."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from analysis.figures.data import FigureData, sentences
from analysis.figures.panels import legend
from analysis.figures.studies import is_log, study_of
from analysis.figures.style import TWO_COLUMNS, family_title, in_order, look, new_figure
from analysis.words import listed, words

TITLE = "Parameter slices"
_LEAST, _MOST, _COLUMNS = 3, 12, 4


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """A panel a parameter that varies, a point a trial that was asked for it, the most searched first."""
    few, points = [], []
    for family in in_order(data.scored["family"]):
        if (n := len(data.having(data.of([family]), data.objective))) < _LEAST:
            few.append(f"{family_title(family)} ({n})")
        elif (study := study_of(data, family, data.objective)) is not None:
            points += _points(family, study)
    if not points:
        return None
    table = pd.DataFrame(points, columns=["family", "parameter", "value", "objective"])
    counts = table["parameter"].value_counts(sort=True)
    parameters = sorted(counts.index, key=lambda name: (-int(counts[name]), str(name)))
    shown = parameters[:_MOST]
    lines = -(-len(shown) // _COLUMNS)
    columns = -(-len(shown) // lines)
    figure = new_figure(TWO_COLUMNS * max(columns, 2) / _COLUMNS if lines == 1 else TWO_COLUMNS, 1.5 * lines + 0.7)
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for ax, parameter in zip(axes, shown, strict=False):
        _slice(ax, table[table["parameter"] == parameter], str(parameter))
    for ax in axes[len(shown) :]:
        ax.remove()
    figure.supylabel(words(data.objective), fontsize=6)
    legend(figure, table.loc[table["parameter"].isin(shown), "family"], 6 if lines > 1 else max(columns, 2))
    return figure, sentences(
        f"{len(shown)} of {len(parameters)} parameters that vary, those of most trials;"
        f" {shown[0]} varies in {counts[shown[0]]} trials.",
        f"Too few trials (under {_LEAST}) in {listed(few)}." if few else "",
    )


def _points(family: str, study: optuna.Study) -> list[tuple[str, str, object, float | None]]:
    return [(family, name, value, trial.value) for trial in study.trials for name, value in trial.params.items()]


def _slice(ax: Axes, points: pd.DataFrame, parameter: str) -> None:
    """The objective over one parameter, choices beside each other."""
    values = list(points["value"])
    choices: list[str] = []
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        choices = sorted({str(value) for value in values})
    for family in in_order(points["family"]):
        mine = points[points["family"] == family]
        colour, marker = look(family)
        across = [choices.index(str(value)) if choices else float(value) for value in mine["value"]]
        if choices:
            across = list(np.asarray(across) + (np.arange(len(across)) % 5 - 2) * 0.06)
        ax.scatter(across, mine["objective"], s=12, c=colour, marker=marker, linewidths=0.2, edgecolors="white")
    if choices:
        crowded = len(choices) > 2
        ax.set_xticks(
            np.arange(len(choices)),
            choices if crowded else [c.replace("_", "_\n") if len(c) > 15 else c for c in choices],
        )
        ax.tick_params(axis="x", labelrotation=90 if crowded else 0)
        ax.set_xlim(-0.5, len(choices) - 0.5)
    elif is_log(parameter):
        ax.set_xscale("log")
        ax.margins(x=0.1)
        ax.xaxis.set_major_locator(FixedLocator(_log_ticks(*ax.get_xlim())))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel(parameter)


def _log_ticks(low: float, high: float) -> list[float]:
    """Up to five round numbers within a range: 1, 2 and 5 times powers of ten, or those powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) <= 5:
            return ticks
    return ticks[:: math.ceil(len(ticks) / 5)]
