"""Forest plot: the winner of each use case against the baseline, with the best non-neural baseline beside it."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrtune.analysis.figures.data import FigureData, sentences
from nrtune.analysis.figures.panels import handle, legend
from nrtune.analysis.figures.style import INK, PALE, look, new_figure
from nrtune.analysis.selection.use_cases import fitted
from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.uncertainty.compared import BETTER, SAME, WORSE
from nrtune.analysis.wording import listed, number, use_case_name

TITLE = "Improvement over the baseline"

_SAID = {BETTER: "better", WORSE: "worse", SAME: "n.s."}


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """The improvement of each winner with its interval, 0 the baseline; use cases of several metrics are left out."""
    winners, missing = data.winners
    rows = [winner for winner in winners if not fitted(data.use_cases[winner.use_case], data.trials).composite]
    rows = [winner for winner in rows if not math.isnan(_improvement(data, winner))]
    if not rows:
        return None
    figure = new_figure(0.75 + 0.27 * len(rows))
    ax = figure.subplots()
    labels = dict(zip(data.scored["name"], data.scored["label"], strict=True))
    families = dict(zip(data.scored["name"], data.scored["family"], strict=True))
    beside = [_row(ax, data, place, winner, families[winner.trial]) for place, winner in enumerate(rows)]
    ax.axvline(0, color=INK, linewidth=0.6, zorder=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [f"{use_case_name(w.use_case)}\n{labels[w.trial]}" for w in rows], linespacing=1.05)
    ax.tick_params("y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=PALE, linewidth=0.3)
    ax.set_xlabel("Improvement over the baseline (at 0), in the use case's metric; → better")
    right = ax.secondary_yaxis("right")
    right.set_yticks(range(len(rows)), beside)
    right.tick_params("y", length=0)
    right.spines["right"].set_visible(False)
    told = [handle("best non-neural baseline", INK, "|")] if any(_non_neural(data, w) is not None for w in rows) else []
    legend(figure, {families[winner.trial] for winner in rows}, told)
    composite = [use_case_name(w.use_case) for w in winners if w not in rows]
    return figure, sentences(
        "The winner of each use case, its improvement over the baseline and the 95 % interval of that.",
        "Hollow: not tested; n.s.: not significantly different.",
        f"Left out as no single metric tells it: {listed(composite)}." if composite else "",
        f"No winner for {listed(missing)}: no finished trial has its metrics." if missing else "",
    )


def _improvement(data: FigureData, winner: Winner) -> float:
    """A winner's improvement over the baseline, + is better; NaN without a baseline."""
    verdict = data.verdicts.get(winner.use_case)
    if verdict is not None and verdict.improvement is not None:
        return verdict.improvement
    return _over_baseline(data, winner, next(iter(winner.reported.values())))


def _over_baseline(data: FigureData, winner: Winner, value: float) -> float:
    metric = next(iter(winner.reported))
    reference = winner.baseline_reported.get(metric)
    rule = fitted(data.use_cases[winner.use_case], data.trials)
    return math.nan if reference is None else rule.oriented(metric, value) - rule.oriented(metric, reference)


def _non_neural(data: FigureData, winner: Winner) -> float | None:
    """By how much the best non-neural baseline in the use case's metric is above the baseline; None where there is none."""
    verdict, metric = data.verdicts.get(winner.use_case), next(iter(winner.reported))
    against = next((one for one in verdict.non_neural if one.metric == metric), None) if verdict is not None else None
    if against is None:
        return None
    if against.improvement is not None and verdict is not None and verdict.improvement is not None:
        return verdict.improvement - against.improvement
    found = _over_baseline(data, winner, against.value)
    return None if math.isnan(found) else found


def _row(ax: Axes, data: FigureData, place: int, winner: Winner, family: str) -> str:
    """Draw a use case; returns what stands beside it."""
    verdict, improvement = data.verdicts.get(winner.use_case), _improvement(data, winner)
    tested = verdict is not None and verdict.is_tested
    colour, marker = look(family)
    if verdict is not None and verdict.interval is not None:
        ax.plot(verdict.interval, [place, place], color=colour, linewidth=1.4 if tested else 0.6, solid_capstyle="butt")
    ax.plot(
        improvement,
        place,
        marker,
        color=colour,
        markersize=4.5,
        markerfacecolor=colour if tested else "white",
        zorder=3,
    )
    if (beside := _non_neural(data, winner)) is not None:
        ax.plot(beside, place, "|", color=INK, markersize=8, markeredgewidth=1, zorder=2)
    said = _SAID[verdict.against_baseline] if verdict is not None and tested else "not tested"
    return f"{number(improvement, signed=True)}\n{said}"
