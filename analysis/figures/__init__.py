"""The study's figures and some that it lacked, drawn from any table of trials.

A file of this package whose name begins with `fig` is a figure: it has a TITLE, and a function `draw` that returns the
figure and its caption, or None where the table has nothing for it.

from nrtune.analysis.figures import FigureData, draw_all, save

for drawn in draw_all(FigureData(title="mine", trials=campaign.trials(), select_on="release", ...)):
    save(drawn, "figures")
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib

from nrtune.analysis.figures import style
from nrtune.analysis.figures.data import Drawn, FigureData
from nrtune.analysis.figures.labels import align_titles, place_labels
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.core.outside_text import LINES, visible

__all__ = ["Drawn", "FigureData", "draw", "draw_all", "figure_names", "save"]


def figure_names() -> list[str]:
    """Every figure's name, in order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name.startswith("fig"))


def draw(name: str, data: FigureData) -> Drawn | None:
    """Draw a figure; None where the table has nothing for it. Raises UserError for an unknown name."""
    if name not in figure_names():
        raise UserError(f"unknown figure {name!r}{suggest(name, figure_names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    with style.applied():
        drawn = module.draw(data)
        if drawn is None:
            return None
        figure, caption = drawn
        align_titles(figure)
        figure.draw_without_rendering()  # the layout, which labels of points and every saved form then share
        figure.set_layout_engine("none")
        place_labels(figure)
        return Drawn(name, figure, module.TITLE, caption)


def draw_all(data: FigureData) -> Iterator[Drawn]:
    """Draw every figure that the table has something for, in order."""
    for name in figure_names():
        if (drawn := draw(name, data)) is not None:
            yield drawn


def save(drawn: Drawn, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write NAME.png and NAME.svg, each whole or not at all; the same figure gives the same SVG, with its text as text."""
    png, svg = (Path(folder) / f"{drawn.name}.{suffix}" for suffix in ("png", "svg"))
    with style.applied(), matplotlib.rc_context({"svg.hashsalt": drawn.name}):
        write_atomically(png, lambda path: drawn.figure.savefig(path, format="png"))
        write_atomically(svg, lambda path: _save_svg(drawn, path))
    return png, svg


def _save_svg(drawn: Drawn, path: Path) -> None:
    """XML with a control character in it, of a name, would be none."""
    drawn.figure.savefig(path, format="svg", metadata={"Date": None})
    path.write_text(visible(path.read_text(encoding="utf-8"), LINES), encoding="utf-8")
