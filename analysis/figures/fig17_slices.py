"""Parameter slices: the objective over each searched parameter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from nrtune.analysis.figures.data import FigureData, sentences
from nrtune.analysis.figures.panels import legend, row_height
from nrtune.analysis.figures.studies import is_log, study_of
from nrtune.analysis.figures.style import family_title, in_order, look, new_figure
from nrtune.analysis.wording import label, listed

TITLE = "Parameter slices"
_LEAST, _MOST, _COLUMNS = 3, 12, 2
_LINE = 1.35  # inches


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
    choices = {name: found for name in shown if (found := _choices(table.loc[table["parameter"] == name, "value"]))}
    numbers = [name for name in shown if name not in choices]
    lines = [numbers[start : start + _COLUMNS] for start in range(0, len(numbers), _COLUMNS)]
    heights = [*(row_height(len(found)) for found in choices.values()), *[_LINE] * len(lines)]
    figure = new_figure(sum(heights) + 0.5)
    mosaic = [*([name] * _COLUMNS for name in choices), *([*line, *["."] * (_COLUMNS - len(line))] for line in lines)]
    panels = figure.subplot_mosaic(mosaic, height_ratios=heights)
    for name, ax in panels.items():
        points_of = table[table["parameter"] == name]
        if name in choices:
            _of_choices(ax, points_of, choices[name], str(name))
            ax.set_xlabel(label(data.objective))
        else:
            first = next(line[0] for line in lines if name in line)
            if name == first:
                ax.set_ylabel(label(data.objective))
            else:
                ax.sharey(panels[first])
                ax.tick_params(labelleft=False)
            _of_numbers(ax, points_of, str(name))
    legend(figure, table.loc[table["parameter"].isin(shown), "family"])
    return figure, sentences(
        f"{len(shown)} of {len(parameters)} parameters that vary, those of most trials;"
        f" {shown[0]} varies in {counts[shown[0]]} trials.",
        f"Too few trials (under {_LEAST}) in {listed(few)}." if few else "",
    )


def _points(family: str, study: optuna.Study) -> list[tuple[str, str, object, float | None]]:
    return [(family, name, value, trial.value) for trial in study.trials for name, value in trial.params.items()]


def _choices(values: pd.Series[Any]) -> list[str]:
    """The distinct values of a parameter whose values are not numbers; none of one whose are."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return []
    return sorted({str(value) for value in values})


def _of_choices(ax: Axes, points: pd.DataFrame, choices: list[str], parameter: str) -> None:
    """The objective, a row a choice."""
    for family, mine in points.groupby("family"):
        row = np.array([choices.index(str(value)) for value in mine["value"]])
        _scatter(ax, mine["objective"], row + (np.arange(len(row)) % 5 - 2) * 0.1, str(family))
    ax.set_yticks(np.arange(len(choices)), choices)
    ax.set_ylim(len(choices) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.tick_params(axis="y", length=0)
    ax.set_title(parameter)


def _of_numbers(ax: Axes, points: pd.DataFrame, parameter: str) -> None:
    """The objective over a number."""
    for family, mine in points.groupby("family"):
        _scatter(ax, mine["value"].astype(float), mine["objective"], str(family))
    if is_log(parameter):
        ax.set_xscale("log")
        ax.margins(x=0.1)
        ax.xaxis.set_major_locator(FixedLocator(_log_ticks(*ax.get_xlim())))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.set_title(parameter)


def _scatter(ax: Axes, across: Any, up: Any, family: str) -> None:
    colour, marker = look(family)
    ax.scatter(across, up, s=12, c=colour, marker=marker, linewidths=0.2, edgecolors="white")


def _log_ticks(low: float, high: float) -> list[float]:
    """Up to five round numbers within a range: 1, 2 and 5 times powers of ten, or those powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) <= 5:
            return ticks
    return ticks[:: math.ceil(len(ticks) / 5)]
