"""The panels that figures are made of: bars, confidence strata, scatters and boxes, with intervals and reference lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nrtune.analysis.figures.data import CAGI5, STRATA, FigureData
from nrtune.analysis.figures.labels import label_point, label_reference
from nrtune.analysis.figures.style import GREY, INK, PALE, family_title, in_order, look, new_figure
from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.wording import label, number

PITCH = 0.128
"""Height of a row of a chart, in inches: a line of small type and some air."""

REFERENCES: Mapping[str, str] = {"constant": "constant", "spectrum_ridge": "k-mer ridge", "kmer_ridge": "6-mer ridge"}
STRATUM_MARKERS: Mapping[str, str] = {"all": "o", "hc": "^", "lc": "v"}
_STRATUM_WORDS = {"all": "all variants", "hc": "high confidence (HC)", "lc": "low confidence (LC)"}


FREE = 2.1
"""Height of a line of panels without rows, in inches."""

AROUND = 0.55
"""Height of what is around a panel: title, ticks, label."""


def row_height(rows: int) -> float:
    """The height of a chart of so many rows and what is around it, in inches."""
    return max(rows, 3) * PITCH + AROUND


def row_figure(rows: pd.DataFrame, mosaic: str, free: str = "", free_height: float = FREE) -> tuple[Figure, list[Axes]]:
    """A figure of charts with the same trials as rows, in lines of panels such as "ab/c"; the `free` have no rows.

    The axes come in the order of their letters. Rows are named at the left of each line.
    """
    lines = mosaic.split("/")
    heights = [free_height if set(line) <= set(free) else row_height(len(rows)) for line in lines]
    figure = new_figure(sum(heights) + 0.3)
    wide = max(map(len, lines))
    panels = figure.subplot_mosaic([list(line * (wide // len(line))) for line in lines], height_ratios=heights)
    for line in lines:
        charts = [panels[letter] for letter in line if letter not in free]
        for ax in charts[:1]:
            name_rows(ax, rows)
        for ax in charts[1:]:
            share_rows(ax, charts[0])
    return figure, [panels[letter] for letter in sorted(panels)]


def name_rows(ax: Axes, rows: pd.DataFrame) -> None:
    """Name the rows of a chart by trial, the first at the top, the baseline in bold."""
    ax.set_yticks(np.arange(len(rows)), list(rows["label"]))
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    for tick, family in zip(ax.get_yticklabels(), rows["family"], strict=True):
        tick.set_fontweight("bold" if family == BASELINE else "normal")


def share_rows(ax: Axes, first: Axes) -> None:
    """Give a chart the rows of another one, without their names."""
    ax.sharey(first)
    ax.tick_params(axis="y", length=0, labelleft=False)


def bars(ax: Axes, data: FigureData, rows: pd.DataFrame, metric: str, title: str) -> None:
    """One bar a row from zero, with its value, interval, seed replicates, the baseline's value and reference lines."""
    values = [float(value) for value in data.values(rows, metric)]
    colours = [look(family).colour for family in rows["family"]]
    ax.barh(range(len(rows)), np.nan_to_num(values), height=0.72, color=colours, linewidth=0)
    ends: list[float] = [0.0]
    for place, (name, value) in enumerate(zip(rows["name"], values, strict=True)):
        if not math.isfinite(value):
            _value(ax, 0.0, place, 1, "not scored", GREY)
            continue
        interval = data.interval(name, metric)
        if interval:
            ax.plot(interval, [place, place], color=GREY, linewidth=0.8, marker="|", markersize=3, zorder=3)
        if seeds := data.replicates(name, metric):
            ax.plot(
                seeds,
                [place] * len(seeds),
                "o",
                markersize=1.8,
                color="white",
                markeredgecolor=INK,
                markeredgewidth=0.4,
            )
        side = 1 if value >= 0 else -1
        end = side * max(side * known for known in (value, *(interval or ()), *seeds))
        _value(ax, end, place, side, number(value), INK)
        ends += [value, *(interval or ()), *seeds]
    references = list(data.reference_values(metric).values())
    low, high = min(ends + references), max(ends + references)
    room = 0.5 * ((high - low) or 1.0)  # for the values
    ax.set_xlim(low - room * (min(ends) < 0), high + room * (max(ends) > 0 or min(ends) == 0))
    ax.axvline(0, color=INK, linewidth=0.5)
    _finish_metric_axis(ax, data, metric, title)


def strata(ax: Axes, data: FigureData, rows: pd.DataFrame, title: str, kind: str = "spearman") -> None:
    """All, HC and LC variants as three markers a row."""
    colours = np.array([look(family).colour for family in rows["family"]])
    metrics = {stratum: f"{CAGI5}/{kind}/{stratum}/mean" for stratum in STRATA}
    values = {stratum: data.values(rows, metric).to_numpy() for stratum, metric in metrics.items()}
    known = pd.DataFrame(values)
    ax.hlines(range(len(rows)), known.min(axis=1), known.max(axis=1), colors=PALE, linewidth=0.8, zorder=1)
    for stratum, value in values.items():
        spans = [(place, data.interval(name, metrics[stratum])) for place, name in enumerate(rows["name"])]
        found = [(place, *span) for place, span in spans if span]
        if found:
            places, low, high = map(list, zip(*found, strict=True))
            ax.hlines(places, low, high, colors=list(colours[places]), linewidth=0.6, alpha=0.7)
        face = list(colours) if stratum == "all" else "white"
        ax.scatter(value, range(len(rows)), s=12, marker=STRATUM_MARKERS[stratum], facecolors=face, edgecolors=list(colours),
                   linewidths=0.7, zorder=3)  # fmt: skip
    ax.grid(axis="y", color=PALE, linewidth=0.3)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    zero_lines(ax)
    ax.set_xlabel(f"CAGI5 {kind.capitalize()}, challenge")
    ax.set_title(title)


def scatter(
    ax: Axes, data: FigureData, rows: pd.DataFrame, x: str, y: str, title: str, named: Iterable[str] = ()
) -> None:
    """Trials by two metrics, a colour and marker a family; `named` trials are labelled, the first with first choice."""
    rows = data.having(rows, x, y)
    many = len(rows) > 60
    for family in in_order(rows["family"]):
        part = rows[rows["family"] == family]
        colour, marker = look(family)
        size = 45 if family == BASELINE else 16 if not many else 12
        ax.scatter(data.values(part, x), data.values(part, y), s=size, c=colour, marker=marker, linewidths=0.3,
                   edgecolors="white", zorder=4 if family == BASELINE else 3, rasterized=len(rows) > 2000)  # fmt: skip
        for name, across, up in zip(part["name"], data.values(part, x), data.values(part, y), strict=True):
            for horizontal, interval in ((True, data.interval(name, x)), (False, data.interval(name, y))):
                if interval and not many:
                    places = (interval, [up, up]) if horizontal else ([across, across], interval)
                    ax.plot(*places, color=colour, linewidth=0.5, alpha=0.4, zorder=2)
    wanted = list(dict.fromkeys(named)) if len(rows) > 12 else [*dict.fromkeys([*named, *rows["name"]])]
    for name in wanted:
        for _, row in rows[rows["name"] == name].iterrows():
            label_point(ax, float(row[x]), float(row[y]), str(row["label"]))
    ax.margins(0.12)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    for place in data.reference_values(y).items():
        _reference(ax, *place, horizontal=True)
    zero_lines(ax)
    ax.set_ylabel(label(y))
    _finish_metric_axis(ax, data, x, title, baseline=False)


def boxes(ax: Axes, data: FigureData, groups: Mapping[str, pd.DataFrame], metric: str, title: str) -> None:
    """A box (of four trials or more) and every trial, a row a group; a group's colours are its trials' families'."""
    for place, rows in enumerate(groups.values()):
        rows = data.having(rows, metric)
        values = data.values(rows, metric).to_numpy()
        families = list(rows["family"])
        colour = look(families[0]).colour if families else GREY
        if len(values) >= 4:
            line = {"color": colour, "linewidth": 0.8}
            box = ax.boxplot(values, positions=[place], orientation="horizontal", widths=0.6, showfliers=False,
                             patch_artist=True, boxprops={**line, "facecolor": "white"}, whiskerprops=line, capprops=line,
                             medianprops={**line, "linewidth": 1.6}, manage_ticks=False)  # fmt: skip
            box["boxes"][0].set_zorder(1)
        shift = (np.argsort(np.argsort(values)) % 3 - 1) * 0.16 if len(values) > 1 else np.zeros(len(values))
        for family in dict.fromkeys(families):
            mine = rows["family"].to_numpy() == family
            size = 5 if family == BASELINE else 2.8
            ax.plot(values[mine], place + shift[mine], look(family).marker, color=look(family).colour, markersize=size,
                    markeredgecolor="white", markeredgewidth=0.2, zorder=3)  # fmt: skip
    ax.set_yticks(np.arange(len(groups)), list(groups))
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.08)
    zero_lines(ax)
    _finish_metric_axis(ax, data, metric, title)


def zero_lines(ax: Axes) -> None:
    """A thin line at zero where zero is in view."""
    for (low, high), line in ((ax.get_xlim(), ax.axvline), (ax.get_ylim(), ax.axhline)):
        if low < 0 < high and line is not None and not _has_named_rows(ax, line == ax.axhline):
            line(0, color=PALE, linewidth=0.6, zorder=0)


def legend(figure: Figure, families: Iterable[str], extra: Sequence[Line2D] = (), columns: int = 3) -> None:
    """The families' colours and markers under a figure, with other entries after them."""
    handles = [handle(family_title(family), *look(family)) for family in in_order(families)] + list(extra)
    if handles:
        lines = -(-len(handles) // columns)
        figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // lines))


def handle(label: str, colour: str, marker: str, hollow: bool = False) -> Line2D:
    """An entry of a legend."""
    face = "white" if hollow else colour
    size = 5 if marker == "*" else 3.6
    return Line2D(
        [], [], color=colour, marker=marker, linestyle="none", label=label, markerfacecolor=face, markersize=size
    )


def stratum_handles() -> list[Line2D]:
    """The legend's entries for the markers of `strata`."""
    return [handle(_STRATUM_WORDS[name], GREY, mark, hollow=name != "all") for name, mark in STRATUM_MARKERS.items()]


def group_by_family(data: FigureData, families: Iterable[str], metric: str) -> dict[str, pd.DataFrame]:
    """The drawn trials of each family that has the metric, under its title with their number."""
    groups: dict[str, pd.DataFrame] = {}
    for family in in_order(families):
        rows = data.having(data.of([family]), metric)
        if not rows.empty:
            groups[f"{family_title(family)} ({len(rows)})"] = rows
    return groups


def _value(ax: Axes, end: float, row: int, side: int, text: str, colour: str) -> None:
    """A bar's value at its end, on white, so that no line crosses it."""
    value = ax.annotate(
        text, (end, row), (2 * side, 0), textcoords="offset points", va="center", color=colour, zorder=4
    )
    value.set(ha="left" if side > 0 else "right", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3})


def _has_named_rows(ax: Axes, horizontal: bool) -> bool:
    return horizontal and ax.yaxis_inverted()


def _finish_metric_axis(ax: Axes, data: FigureData, metric: str, title: str, baseline: bool = True) -> None:
    """The horizontal axis of a metric: its name, few ticks, reference lines with their names above, the title above those."""
    for name, value in data.reference_values(metric).items():
        _reference(ax, name, value, horizontal=False)
    if baseline and data.baseline is not None and len(ax.patches) + len(ax.lines):
        value = float(data.values(data.baseline.to_frame().T, metric).iloc[0])
        if np.isfinite(value):
            ax.axvline(value, color=INK, linewidth=0.6, linestyle=(0, (1, 1)), zorder=2)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_xlabel(label(metric))
    ax.set_title(title)


def _reference(ax: Axes, name: str, value: float, horizontal: bool) -> None:
    style: dict[str, Any] = {"color": GREY, "linewidth": 0.7, "linestyle": (0, (4, 2)), "zorder": 1.5}
    label = REFERENCES.get(name, name)
    if horizontal:
        ax.axhline(value, **style)
        ax.text(1.0, value, label, transform=ax.get_yaxis_transform(), ha="right", va="bottom", color=GREY)
    else:
        ax.axvline(value, **style)
        label_reference(ax, value, label)
