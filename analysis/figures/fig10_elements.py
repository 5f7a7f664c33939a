"""Elements: whether a trial is good everywhere, or on one element."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from nrtune.analysis.figures.data import CAGI5, FigureData, sentences
from nrtune.analysis.figures.panels import PITCH, legend, name_rows, row_height, share_rows
from nrtune.analysis.figures.style import PALE, look, new_figure
from nrtune.analysis.wording import label, number
from nrtune.trainables.data.benchmarks import BENCHMARKS, reported_prefix

TITLE = "Benchmarks by element"
_MOST = 50
ABREAST = 4
"""Names of so many elements have room beside one another under a panel; those of more are turned."""
_COLOURS = matplotlib.colormaps["cividis"].with_extremes(bad=PALE)


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """Trials times elements, of CAGI5 Spearman and Pearson, of other benchmarks Spearman; grey where undefined.

    The best mean of the first is at the top.
    """
    others = [(reported_prefix(name), "spearman") for name in BENCHMARKS if name != "cagi5"]
    panels = [(CAGI5, "spearman"), (CAGI5, "pearson"), *others]
    metrics = {label(f"{prefix}/{kind}/all/mean"): _metrics(data, prefix, kind) for prefix, kind in panels}
    metrics = {title: names for title, names in metrics.items() if names}
    if not metrics:
        return None
    # Two panels of CAGI5 side by side, each other benchmark below: three would not have room for their numbers.
    beside = sum(title.startswith("CAGI5") for title in metrics)
    lines = (beside > 0) + len(metrics) - beside
    first = next(iter(metrics.values()))
    scored = data.scored[data.scored[first].notna().any(axis=1)]
    order = scored[first].astype(float).mean(axis=1).sort_values(ascending=False, kind="stable").index
    kept = [index for place, index in enumerate(order) if place < _MOST // lines or index == _baseline_index(data)]
    rows = data.scored.loc[kept]
    figure = new_figure((row_height(len(rows)) + 0.9) * lines)
    grid = figure.add_gridspec(lines, max(beside, 1))
    said = []
    for number_of, (title, names) in enumerate(metrics.items()):
        below = number_of >= beside
        place = grid[number_of - beside + (beside > 0), :] if below else grid[0, number_of]
        ax = figure.add_subplot(place)
        if below or number_of == 0:
            first_ax = ax
            name_rows(ax, rows)
            _mark_families(ax, rows)
        else:
            share_rows(ax, first_ax)
        values = rows[names].astype(float).to_numpy()
        image = _heat_map(
            ax,
            values,
            [
                f"{element} †" if data.in_training.get(element) else element
                for element in (name.rpartition("/")[2] for name in names)
            ],
        )
        figure.colorbar(
            image,
            ax=ax,
            location="bottom",
            shrink=0.6,
            aspect=40,
            pad=0.08 / (len(rows) * PITCH),
            label=title,
        )
        ax.set_title(title.removeprefix("CAGI5 ").removesuffix(", challenge"))
        medians = np.nanmedian(np.where(np.isfinite(values), values, np.nan), axis=0)
        best, worst = int(medians.argmax()), int(medians.argmin())
        said.append(
            f"{title.removesuffix(', challenge')} {number(float(medians[best]))} on {names[best].rpartition('/')[2]}"
            f" to {number(float(medians[worst]))} on {names[worst].rpartition('/')[2]}"
        )
    legend(figure, rows["family"])
    shown = f"The best {len(rows)} of {len(scored)} trials by mean Spearman. " if len(rows) < len(scored) else ""
    return figure, sentences(
        f"{shown}Median over {len(rows)} trials, best to worst element: {'; '.join(said)}.",
        overlap_sentence(data.in_training, [name.rpartition("/")[2] for names in metrics.values() for name in names]),
        data.without(None, f"{first[0].rpartition('/')[0]}/mean"),
    )


def overlap_sentence(in_training: Mapping[str, int], elements: Collection[str]) -> str:
    """Which of the elements training sequences overlap; "" where none does."""
    overlapped = [f"{name} {in_training[name]}" for name in dict.fromkeys(elements) if in_training.get(name)]
    return f"† Training sequences overlap it, so many: {', '.join(overlapped)}." if overlapped else ""


def _mark_families(ax: Axes, rows: pd.DataFrame) -> None:
    for place, family in enumerate(rows["family"]):
        colour, marker = look(family)
        ax.plot(-0.02, place, marker, color=colour, markersize=3.2, transform=ax.get_yaxis_transform(), clip_on=False)
    ax.tick_params(axis="y", pad=8)


def _metrics(data: FigureData, prefix: str, kind: str) -> list[str]:
    """The elements' metrics that some drawn trial has."""
    prefix = f"{prefix}/{kind}/all/"
    names = sorted(name for name in map(str, data.scored) if name.startswith(prefix) and not name.endswith("/mean"))
    return [name for name in names if data.scored[name].notna().any()]


def _baseline_index(data: FigureData) -> object:
    return None if data.baseline is None else data.baseline.name


def _heat_map(ax: Axes, values: np.ndarray, elements: list[str]) -> AxesImage:
    """Coloured cells with their value, in a type that can be read on the colour."""
    image = ax.imshow(np.ma.masked_invalid(values), aspect="auto", cmap=_COLOURS, interpolation="nearest")
    ax.set_xticks(np.arange(len(elements)), elements)
    if len(elements) > ABREAST:
        for text in ax.get_xticklabels():
            text.set_rotation(90)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    low, high = image.get_clim()
    if len(elements) <= 8:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                light = high > low and (value - low) / (high - low) > 0.55
                ax.text(
                    column,
                    row,
                    f"{value:.2f}".replace("-", "−"),
                    ha="center",
                    va="center",
                    color="black" if light else "white",
                )
    return image
