"""Summary: what to use for what."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrtune.analysis.figures.data import FigureData, sentences
from nrtune.analysis.figures.panels import legend
from nrtune.analysis.figures.style import PALE, family_title, look, new_figure
from nrtune.analysis.selection.candidates import BASELINE
from nrtune.analysis.selection.use_cases import fitted
from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.uncertainty.compared import BETTER, WORSE
from nrtune.analysis.wording import count, listed, number

TITLE = "What to use for what"
_LINE = 70  # characters that a column has room for
_PURPOSE = {
    "overall": "variant effects",
    "pearson": "the size of variant effects",
    "high_confidence": "high-confidence variants",
    "low_confidence": "low-confidence variants",
    "noise_resistance": "noisy training data",
    "in_distribution": "held-out sequences",
    "balance": "a balance of all",
    "hc_lc_gap": "a small gap between HC and LC",
    "saturation_mutagenesis": "variant effects, by the public table",
}


def draw(data: FigureData) -> tuple[Figure, str] | None:
    """The winner of each use case beside the baseline, with what to use it for."""
    winners, missing = data.winners
    if not winners:
        return None
    figure = new_figure(0.6 + 0.5 * len(winners))
    ax = figure.subplots()
    labels = dict(zip(data.scored["name"], data.scored["label"], strict=True))
    families = dict(zip(data.scored["name"], data.scored["family"], strict=True))
    for place, winner in enumerate(winners):
        _row(ax, data, place, winner, families[winner.trial])
        head, rest = _sentences(data, winner, labels[winner.trial], families[winner.trial])
        lines = textwrap.wrap(rest, _LINE)
        for up, text in enumerate([*reversed(lines), head]):
            ax.annotate(text, (0, place), (0, 5 + 7 * up), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
                        weight="bold" if text == head else "normal").set_in_layout(False)  # fmt: skip
    ax.axvline(0, color=PALE, linewidth=0.6, zorder=0)
    ax.set_yticks([])
    ax.set_ylim(len(winners) - 0.75, -0.9)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("Correlation, or difference of two")
    legend(figure, {BASELINE, *(families[w.trial] for w in winners)})
    use: dict[str, list[str]] = {}
    keep: list[str] = []
    below: list[str] = []
    untested: list[str] = []
    for winner in winners:
        verdict, purpose = data.verdicts.get(winner.use_case), _purpose(data, winner.use_case)
        if verdict is None or not verdict.is_tested:
            untested.append(purpose)
        elif verdict.against_baseline == BETTER:
            use.setdefault(labels[winner.trial], []).append(purpose)
        else:
            keep.append(purpose)
        if verdict is not None and verdict.against_non_neural == WORSE:
            below.append(purpose)
    selected = {"release": "validation data and the CAGI5 release part", "val": "validation data"}.get(
        data.select_on, "the reported data themselves, which flatters"
    )
    return figure, sentences(
        f"Use {_each(use, '{} for {}')}." if use else "",
        f"Keep the baseline for {listed(keep)}." if keep else "",
        f"A non-neural baseline is significantly better than the winner for {listed(below)}." if below else "",
        f"Not tested, and nothing recommended, for {listed(untested)}." if untested else "",
        "For a use case of several metrics the first is drawn.",
        f"Selected on {selected}, each from up to {count(max(w.candidates for w in winners), 'trial')}.",
        f"No winner for {listed(missing)}: no finished trial has its metrics." if missing else "",
    )


def _each(groups: Mapping[str, Sequence[str]], said: str) -> str:
    """What is said of each trial and its purposes."""
    return "; ".join(said.format(trial, listed(purposes)) for trial, purposes in groups.items())


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


def _sentences(data: FigureData, winner: Winner, label: str, family: str) -> tuple[str, str]:
    """What to use; and its value, how that compares, and whether it is significantly different from others."""
    rule = fitted(data.use_cases[winner.use_case], data.trials)
    metric, direction = next(iter(winner.reported)), next(iter(rule.metrics.values()))
    value, reference = winner.reported[metric], winner.baseline_reported.get(metric)
    purpose, named = _purpose(data, winner.use_case), f"{label}, {family_title(family).lower()}"
    verdict = data.verdicts.get(winner.use_case)
    if verdict is None or not verdict.is_tested:
        head = f"For {purpose}, not tested: {named}"
    else:
        head = f"For {purpose}: {f'use {named}' if verdict.against_baseline == BETTER else 'keep the baseline'}"
    compared = "no baseline"
    if reference is not None and direction == "max" and reference > 0:
        percent = f"{100 * (value / reference - 1):+.1f} %".replace("-", "−")
        compared = f"baseline {number(reference)}, {percent}"
    elif reference is not None:
        improvement = rule.oriented(metric, value) - rule.oriented(metric, reference)
        compared = f"baseline {number(reference)}, Δ {number(improvement, signed=True)}"
    rank = f"mean rank {winner.selected_by:.2f}; " if rule.composite else ""
    facts = [f"{label if head.endswith('baseline') else ''} {rank}{number(value)} ({compared})".strip()]
    if verdict is not None:
        facts.append(verdict.sentence())
        facts.append("a non-neural baseline is significantly better" if verdict.against_non_neural == WORSE else "")
    return head, "; ".join(fact for fact in facts if fact)


def _purpose(data: FigureData, use_case: str) -> str:
    """What a use case is for, in words; one of the user's own by its title."""
    return _PURPOSE.get(use_case) or data.use_cases[use_case].title
