"""Summary: what to use for what."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.data import FigureData, sentences
from analysis.figures.panels import REFERENCES, legend
from analysis.figures.style import PALE, TWO_COLUMNS, family_title, look, new_figure
from analysis.winners import BASELINE, USE_CASES, Winner, find_winner
from analysis.words import listed, number
from trainables.errors import UserError

TITLE = "What to use for what"
_PURPOSE = {
    "overall": "variant effects",
    "pearson": "the size of variant effects",
    "high_confidence": "high-confidence variants",
    "low_confidence": "low-confidence variants",
    "noise_resistance": "noisy training data",
    "in_distribution": "held-out sequences",
    "balance": "a balance of all",
    "hc_lc_gap": "a small gap between HC and LC",
}


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """The winner of each use case beside the baseline, with what to use it for."""
    winners, missing = _winners(data)
    if not winners:
        return None
    figure = new_figure(TWO_COLUMNS, 0.9 + 0.29 * len(winners))
    ax = figure.subplots()
    labels = {name: label for name, label in zip(data.scored["name"], data.scored["label"], strict=True)}
    families = dict(zip(data.scored["name"], data.scored["family"], strict=True))
    for place, winner in enumerate(winners):
        _row(ax, data, place, winner, families[winner.trial])
    ax.axvline(0, color=PALE, linewidth=0.6, zorder=0)
    ax.set_yticks(np.arange(len(winners)), [f"{USE_CASES[w.use_case].title}" for w in winners])
    ax.set_ylim(len(winners) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("Correlation, or difference of two (balance: that of CAGI5 Spearman)")
    said = ax.secondary_yaxis("right")
    said.set_yticks(np.arange(len(winners)), [_sentence(data, w, labels[w.trial], families[w.trial]) for w in winners])
    said.tick_params(length=0)
    said.spines[:].set_visible(False)
    legend(figure, {BASELINE, *(families[w.trial] for w in winners)}, 6)
    uses: dict[str, list[str]] = {}
    stay = [_PURPOSE.get(w.use_case, w.use_case) for w in winners if _is_below_baseline(w)]
    for winner in (w for w in winners if not _is_below_baseline(w)):
        uses.setdefault(labels[winner.trial], []).append(_PURPOSE.get(winner.use_case, winner.use_case))
    use = "; ".join(f"{trial} for {listed(purposes)}" for trial, purposes in uses.items())
    selected = {"release": "validation data and the CAGI5 release part", "val": "validation data"}.get(
        data.select_on, "the reported data themselves, which flatters"
    )
    return figure, sentences(
        f"Use {use}." if use else "",
        f"No trial is above the baseline for {listed(stay)}." if stay else "",
        f"Selected on {selected}, each from up to {max(w.candidates for w in winners)} trials.",
        f"No winner for {listed(missing)}: no finished trial has its metrics." if missing else "",
    )


def _winners(data: FigureData) -> tuple[list[Winner], list[str]]:
    """The winners in the order of the use cases, and the use cases that have none."""
    winners, missing = [], []
    for name in USE_CASES:
        try:
            winners.append(find_winner(data.trials, name, data.select_on))
        except (UserError, KeyError):
            missing.append(name.replace("_", " "))
    return winners, missing


def _is_below_baseline(winner: Winner) -> bool:
    """Whether the baseline is better than the winner at what is reported; of several metrics, none decides."""
    rule = USE_CASES[winner.use_case]
    if rule.composite or not winner.baseline_reported:
        return False
    metric, direction = next(iter(rule.metrics.items()))
    value, reference = winner.reported[metric], winner.baseline_reported[metric]
    if metric in rule.magnitude:
        value, reference = abs(value), abs(reference)
    return value < reference if direction == "max" else value > reference


def _row(ax: Axes, data: FigureData, place: int, winner: Winner, family: str) -> None:
    """Winner and baseline on one line, with the winner's interval."""
    metric = next(iter(winner.reported))
    value, reference = winner.reported[metric], winner.baseline_reported.get(metric)
    if reference is not None:
        ax.plot([reference, value], [place, place], color=PALE, linewidth=1.5, zorder=1)
        ax.plot(reference, place, look(BASELINE).marker, color=look(BASELINE).colour, markersize=6, markeredgewidth=0)
    if interval := data.interval(winner.trial, metric):
        ax.plot(interval, [place, place], color=look(family).colour, linewidth=0.8)
    ax.plot(value, place, look(family).marker, color=look(family).colour, markersize=4.5, markeredgewidth=0, zorder=3)


def _sentence(data: FigureData, winner: Winner, label: str, family: str) -> str:
    """What to use, its value, and how that compares."""
    metric, direction = next(iter(winner.reported)), next(iter(USE_CASES[winner.use_case].metrics.values()))
    value, reference = winner.reported[metric], winner.baseline_reported.get(metric)
    purpose, named = _PURPOSE.get(winner.use_case, winner.use_case), f"{label}, {family_title(family).lower()}"
    head = f"For {purpose}: {named}"
    if _is_below_baseline(winner):
        head = f"For {purpose}: the baseline, above {named}"
    change = "no baseline"
    if reference is not None and direction == "max" and reference > 0:
        percent = f"{100 * (value / reference - 1):+.1f} %".replace("-", "−")
        change = f"baseline {number(reference)}, {percent}"
    elif reference is not None:
        change = f"baseline {number(reference)}, {number(value - reference, signed=True)}"
    rank = f"mean rank {winner.selected_by:.2f}; " if USE_CASES[winner.use_case].composite else ""
    sign = 1 if direction == "max" else -1
    below = [REFERENCES.get(n, n) for n, v in data.reference_values(metric).items() if sign * (value - v) < 0]
    return f"{head}\n{rank}{number(value)} ({change})" + (f"; worse than {listed(below)}" if below else "")
