"""What is said of winners wherever they are named: in a terminal, in a report, to programs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nrtune.analysis.uncertainty.compared import Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.analysis.wording import count, number

REFERENCE_NAMES = {"constant": "constant predictor", "kmer_ridge": "6-mer ridge regression"}
"""Non-neural baselines by their names in a campaign's records."""


def below_references(comparisons: Comparisons, comparison: Comparison) -> list[str]:
    """A sentence for each non-neural baseline that a winner is below; none for a use case of several metrics."""
    winner, rule = comparison.winner, comparisons.use_cases[comparison.winner.use_case]
    if rule.composite:
        return []
    ((metric, direction),) = rule.metrics.items()
    value, below = rule.oriented(metric, winner.reported[metric]), "below" if direction == "max" else "worse than"
    lines = {line: metrics[metric] for line, metrics in comparisons.source.references().items() if metric in metrics}
    return [
        f"{winner.trial} is {below} the {REFERENCE_NAMES.get(line, line)} ({number(at)})"
        for line, at in lines.items()
        if value < rule.oriented(metric, at)
    ]


def selection_sentence(select_on: str, candidates: int, replicates: int) -> str:
    """What winners were selected on and reported on, and over how many seeds."""
    data = {
        "release": "validation data and the CAGI5 release part, and reported on test and challenge",
        "val": "validation data, and reported on test and CAGI5 challenge",
        "challenge": "the very data they are reported on (the study's protocol): the values are too good",
    }[select_on]
    seeds = (
        f"Means over {replicates} seeds."
        if replicates
        else ("Single seed: intervals leave out training variance; run nrtune replicate.")
    )
    return f"Winners of up to {count(candidates, 'candidate')}, selected on {data}. {seeds}"


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
        "verdict": verdict_of(comparisons, comparison).to_dict(),
        "left_out": dict(comparison.left_out),
        "why_no_interval": comparison.why_not or None,
        "config": dict(best.config),
        "metrics": dict(best.metrics),
        **{key: None if path is None else str(path) for key, path in paths.items()},
    }
