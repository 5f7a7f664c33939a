"""Learning curves: whether trials were still improving when they ended."""

from __future__ import annotations

from matplotlib.figure import Figure

from nrtune.analysis.figures.data import CURVE, FigureData, sentences
from nrtune.analysis.figures.panels import FREE, legend
from nrtune.analysis.figures.style import look, new_figure
from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.wording import count, label, phrase

TITLE = "Learning curves"


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """A line a trial over its epochs, with a point at its best; the caption counts those whose last epoch is their best."""
    rows = data.scored[[bool(data.curves.get(str(name))) for name in data.scored["name"]]]
    if rows.empty:
        return None
    figure = new_figure(FREE + 0.6)
    ax = figure.subplots()
    last = 0
    for name, family in zip(rows["name"], rows["family"], strict=True):
        epochs, values = zip(*data.curves[str(name)], strict=True)
        colour, marker = look(family)
        wide = 1.2 if family == BASELINE else 0.5
        ax.plot(epochs, values, color=colour, linewidth=wide, alpha=0.8, zorder=3 if family == BASELINE else 2)
        best = max(range(len(values)), key=values.__getitem__)
        ax.plot(epochs[best], values[best], marker, color=colour, markersize=5 if family == BASELINE else 3, zorder=4)
        last += best == len(values) - 1
    ax.set_xlabel("Epoch")
    ax.set_ylabel(label(CURVE))
    ax.set_title(TITLE)
    legend(figure, rows["family"])
    return figure, sentences(
        f"The {phrase(CURVE)} of {count(len(rows), 'trial')} after each epoch, with a point at the best.",
        f"{'None' if not last else last} of them had it at the last epoch"
        + ("." if not last else ", and may improve with more epochs."),
    )
