"""What is said of winners wherever they are named: in a terminal, in a report, to programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nrtune.analysis.selection.candidates import MIN_SEEDS
from nrtune.analysis.selection.use_cases import selection_metric
from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.uncertainty.compared import BETTER, AgainstNonNeural, Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.analysis.wording import count, listed, number, p_value, phrase

REFERENCE_NAMES = {
    "constant": "constant predictor",
    "spectrum_ridge": "k-mer ridge regression",
    "kmer_ridge": "6-mer ridge regression",
}
"""Non-neural baselines by their names in a campaign's records; the last one is in those of before alone."""


def reference_name(line: str) -> str:
    """A non-neural baseline in words."""
    return REFERENCE_NAMES.get(line, line)


def below_references(comparisons: Comparisons, comparison: Comparison) -> list[str]:
    """A sentence for each non-neural baseline that a winner is below; none for a use case of several metrics."""
    winner, rule = comparison.winner, comparisons.use_cases[comparison.winner.use_case]
    if rule.composite:
        return []
    ((metric, direction),) = rule.metrics.items()
    value, below = rule.oriented(metric, winner.reported[metric]), "below" if direction == "max" else "worse than"
    lines = {line: metrics[metric] for line, metrics in comparisons.non_neural.metrics.items() if metric in metrics}
    return [
        f"{winner.trial} is {below} the {reference_name(line)} ({_with_interval(at, interval)})"
        for line, at in lines.items()
        if value < rule.oriented(metric, at)
        for interval in [comparisons.non_neural.interval(line, metric)]
    ]


def above_references(comparisons: Comparisons, comparison: Comparison) -> list[str]:
    """That a winner is significantly better than the best non-neural baseline in its use case's metric, in a sentence."""
    winner, rule = comparison.winner, comparisons.use_cases[comparison.winner.use_case]
    if rule.composite:
        return []
    return [
        f"{winner.trial} is significantly better than the {reference_name(one.baseline)}"
        f" ({_with_interval(one.value, _interval_of(one))})"
        for one in comparison.non_neural
        if one.metric in rule.metrics and one.verdict == BETTER
    ]


def _interval_of(against: AgainstNonNeural) -> tuple[float, float] | None:
    return None if against.low is None or against.high is None else (against.low, against.high)


def non_neural_sentence(against: AgainstNonNeural) -> str:
    """A winner against the best non-neural baseline in a metric: that one's value, the improvement over it, and the verdict."""
    at = _with_interval(against.value, _interval_of(against))
    said = f"{phrase(against.metric)}, {reference_name(against.baseline)} {at}: {against.verdict}"
    if against.improvement is None or against.p_adjusted is None:
        return said
    improved = (against.improvement, against.improvement_low, against.improvement_high)
    shown, low, high = (number(value, signed=True) for value in improved if value is not None)
    return f"{said}, {shown} ({low} to {high}), adjusted p {p_value(against.p_adjusted)}"


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return number(value)
    return f"{number(value)}, 95 % interval {number(interval[0])} to {number(interval[1])}"


def blocks_sentence(blocks: tuple[int, int]) -> str:
    """How long the blocks of positions are that a use case's intervals are made of."""
    of_value, of_difference = blocks
    return f"blocks of {of_value} bp for values, of {of_difference} bp for differences"


def selection_sentence(comparisons: Comparisons, winner: Winner, candidates: int) -> str:
    """What winners, such as this one, were selected on and reported on, and over how many seeds."""
    data = {
        "release": "validation data and the CAGI5 release part, and reported on test and challenge",
        "val": "validation data, and reported on test and CAGI5 challenge",
        "challenge": "the very data they are reported on (the study's protocol): the values are too good",
    }[winner.select_on]
    several = comparisons.seed_variance.configurations
    if winner.replicates:
        seeds = f"Means over {count(winner.replicates, 'seed')}."
    elif several:
        seeds = (
            "Single trainings: intervals have the variance over seeds of"
            f" {count(several, 'configuration')} that {'was' if several == 1 else 'were'} trained several times."
        )
    else:
        seeds = "Single trainings: intervals leave out the variance over seeds; run nrtune replicate."
    return f"Winners of up to {count(candidates, 'candidate')}, selected on {data}. {seeds}"


def winners_sentence(comparisons: Comparisons, found: Mapping[str, Comparison]) -> str:
    """The same of all winners together; which are single trainings, where others are means over seeds."""
    winners = [one.winner for one in found.values()]
    first = max(winners, key=lambda winner: winner.replicates)
    said = selection_sentence(comparisons, first, max(winner.candidates for winner in winners))
    single = [name for name, one in found.items() if not one.winner.replicates]
    if not first.replicates or not single:
        return said
    return f"{said} Single trainings, as nobody trained their finalists again: {listed(single)}."


class Shown(NamedTuple):
    """What is shown of a winner: value, the baseline's, and the improvement, + is better; of several metrics the mean rank."""

    value: float
    baseline: float
    improvement: float


def shown_of(comparisons: Comparisons, comparison: Comparison) -> Shown:
    """What is shown of a use case's winner; NaN for what is unknown."""
    winner, rule = comparison.winner, comparisons.use_cases[comparison.winner.use_case]
    row = comparison.of(winner.trial)
    value, baseline, improvement = float(row["value"]), math.nan, float(row["improvement"])
    if winner.baseline is not None and winner.baseline != winner.trial:
        baseline = float(comparison.of(winner.baseline)["value"])
    if math.isnan(improvement):
        improvement = value - baseline
        if not rule.composite:
            metric = next(iter(rule.metrics))
            improvement = rule.oriented(metric, value) - rule.oriented(metric, baseline)
    return Shown(value, baseline, improvement)


def barred_sentence(comparisons: Comparisons, comparison: Comparison) -> str:
    """Who could not win, as they are below the baseline at the use case's floor; or ""."""
    winner = comparison.winner
    if not winner.barred:
        return ""
    floor = selection_metric(comparisons.use_cases[winner.use_case].floor, winner.select_on)
    return f"below the baseline in {phrase(floor)}, and no candidates: {listed(winner.barred)}"


def baseline_sentence(comparison: Comparison) -> str:
    """That the search has a better baseline, which was not trained again; or ""."""
    winner = comparison.winner
    if winner.better_baseline is None:
        return ""
    better = f"{winner.better_baseline} is a better baseline than {winner.baseline} by selection data"
    return f"{better}, and has fewer than {MIN_SEEDS} seeds"


def failed_sentence(comparison: Comparison) -> str:
    """That trainings of the winner with further seeds failed, which its values leave out; or ""."""
    winner = comparison.winner
    if not winner.failed:
        return ""
    return (
        f"{count(winner.failed, 'training')} of {winner.trial} with further seeds failed, and its values leave them out"
    )


def the_baseline(comparisons: Comparisons) -> str:
    """What winners are compared with, where a search has one on each of several encoders."""
    return "the baseline on the same encoder" if len(comparisons.source.encoders) > 1 else "the baseline"


def winner_records(comparisons: Comparisons) -> dict[str, Any]:
    """Everything about every use case's winner; null where there is none."""
    found, missing = comparisons.compare_all()
    return {name: winner_record(comparisons, one) for name, one in found.items()} | dict.fromkeys(missing)


def winner_record(comparisons: Comparisons, comparison: Comparison) -> dict[str, Any]:
    """Everything about a winner, for programs; what is unknown is null."""
    winner = comparison.winner
    best = comparisons.best(winner)
    row = comparison.of(winner.trial)
    paths: dict[str, Path | None] = {"checkpoint": best.checkpoint, "predictions_test": None, "predictions_cagi5": None}
    paths |= {f"predictions_{of}": path for of, path in best.predictions.items()}
    known = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
    return {
        "trial": best.name,
        "family": best.family,
        "fingerprint": best.fingerprint,
        "select_on": winner.select_on,
        "selected_by": winner.selected_by,
        "reported": dict(winner.reported),
        "baseline": winner.baseline,
        "baseline_reported": dict(winner.baseline_reported),
        "candidates": winner.candidates,
        "without_metric": winner.without_metric,
        "aliases": list(winner.aliases),
        "replicates": winner.replicates,
        "trainings": list(winner.trainings),
        "failed": winner.failed,
        "confirmed": winner.confirmed,
        "barred": list(winner.barred),
        "better_baseline": winner.better_baseline,
        "note": winner.note,
        "interval": {
            key: known[key]
            for key in (
                "value",
                "low",
                "high",
                "improvement",
                "improvement_low",
                "improvement_high",
                "p",
                "p_holm",
                "rank",
                "rank_low",
                "rank_high",
                "probability_best",
            )
        },
        "block_bp": dict(zip(("values", "differences"), comparison.blocks, strict=True)) if comparison.blocks else None,
        "verdict": verdict_of(comparisons, comparison).to_dict(),
        "left_out": dict(comparison.left_out),
        "why_no_interval": comparison.why_not or None,
        "config": dict(best.config),
        "metrics": dict(best.metrics),
        **{key: None if path is None else str(path) for key, path in paths.items()},
    }
