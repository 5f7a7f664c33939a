"""Labels of points, placed once the axes have their place: beside their point, off other points and labels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from nrtune.analysis.figures.style import GREY, NORMAL, SMALL

_NEAR, _FAR = (5.0, 9.0), (14.0, 20.0, 28.0)
"""Distances to try, in points; a far label gets a thin line to its point."""

_LINE = NORMAL + 1
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_ALIGN = {-1: "right", 0: "center", 1: "left"}
_VERTICAL = {-1: "top", 0: "center", 1: "bottom"}


class PointLabel(Annotation):
    """A label that `place_labels` moves, or takes away where there is no room."""


def label_point(ax: Axes, x: float, y: float, text: str) -> None:
    """Ask for a label at a point in data coordinates; earlier ones have the first choice."""
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 1}
    label = PointLabel(
        text, (x, y), (5, 0), textcoords="offset points", fontsize=SMALL, arrowprops=line, zorder=6, clip_on=False
    )
    label.set_bbox({"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.4})
    label.set_in_layout(False)
    ax.add_artist(label)


class ReferenceLabel(Annotation):
    """The name of a reference line, above its axes and below their title."""


def label_reference(ax: Axes, x: float, text: str) -> None:
    """Name a vertical line above the axes; each name has a line of its own, so that close ones do not meet."""
    up = 1 + _LINE * sum(isinstance(other, ReferenceLabel) for other in ax.texts)
    label = ReferenceLabel(
        text, (x, 1), (0, up), xycoords=ax.get_xaxis_transform(), textcoords="offset points", clip_on=False
    )
    label.set(fontsize=SMALL, color=GREY, ha="center", va="bottom")
    ax.add_artist(label)


def align_titles(figure: Figure) -> None:
    """Put titles above the names of reference lines, at one height in each row of panels."""
    rows: dict[int, list[Axes]] = {}
    for ax in figure.axes:
        if (spec := ax.get_subplotspec()) is not None:
            rows.setdefault(spec.rowspan.start, []).append(ax)
    for axes in rows.values():
        lines = max(sum(isinstance(text, ReferenceLabel) for text in ax.texts) for ax in axes)
        for ax in axes:
            ax.set_title(ax.get_title("left"), pad=3 + _LINE * lines)


def place_labels(figure: Figure) -> None:
    """Place every label of a figure whose layout stands."""
    for ax in figure.axes:
        labels = [text for text in ax.texts if isinstance(text, PointLabel)]
        if not labels:
            continue
        inside = Bbox(ax.get_window_extent().get_points())
        taken = [text.get_window_extent() for text in ax.texts if not isinstance(text, PointLabel)]
        points = _points(ax)
        for label in labels:
            if not _place(label, inside, taken, points):
                label.remove()


def _points(ax: Axes) -> np.ndarray:
    """Every scattered point, in pixels."""
    found = [ax.transData.transform(np.asarray(c.get_offsets())) for c in ax.collections]
    return np.vstack(found) if found else np.empty((0, 2))


def _place(label: PointLabel, inside: Bbox, taken: list[Bbox], points: np.ndarray) -> bool:
    for distance in (*_NEAR, *_FAR):
        for across, up in _SIDES:
            step = distance / max(1.0, float(np.hypot(across, up)))
            label.set_position((across * step, up * step))
            label.set(horizontalalignment=_ALIGN[across], verticalalignment=_VERTICAL[up])
            if label.arrow_patch is not None:
                label.arrow_patch.set_visible(distance in _FAR)
            label.get_window_extent()  # moves the text and its line
            box = Text.get_window_extent(label)
            if inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1:
                if not _meets(box, taken, points):
                    taken.append(box)
                    return True
    return False


def _meets(box: Bbox, taken: Iterable[Bbox], points: np.ndarray) -> bool:
    margin = 7.0  # about a marker's radius
    x, y = points[:, 0], points[:, 1]
    on_point = (x > box.x0 - margin) & (x < box.x1 + margin) & (y > box.y0 - margin) & (y < box.y1 + margin)
    return bool(on_point.any()) or any(box.overlaps(other) for other in taken)
