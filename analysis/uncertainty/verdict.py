"""Whether a winner is significantly better than the baseline, and how that is said."""

from __future__ import annotations

import math

from nrtune.analysis.uncertainty.compared import Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.wording import BETTER, NOT_SIGNIFICANT, WORSE, count, p_value

SIGNIFICANT = 0.05
"""The level of every claim, after Holm's correction for the number of candidates."""


def is_significant(comparisons: Comparisons, comparison: Comparison) -> bool:
    """Whether a winner is significantly better than the baseline, corrected for the number of candidates."""
    winner, row = comparison.winner, comparison.of(comparison.winner.trial)
    if winner.baseline is None or winner.trial == winner.baseline:
        return False
    return bool(row["p_holm"] < SIGNIFICANT and row["improvement"] > 0)


def significance(comparisons: Comparisons, comparison: Comparison) -> str:
    """What a winner is significantly different from, in a few words; "" where there are no intervals."""
    if comparison.why_not:
        return ""
    if comparison.winner.baseline is not None and (said := _against_baseline(comparisons, comparison)) != BETTER:
        return said
    if comparison.winner.candidates == 1:
        return "the only candidate"
    rivals = len(comparison.not_different) - 1
    if rivals:
        return f"not significantly different from {count(rivals, 'other')}"
    return "significantly different from every other"


def verdict(comparisons: Comparisons, comparison: Comparison) -> str:
    """Whether a winner is significantly better than the baseline, in a few words with the corrected p-value."""
    winner = comparison.winner
    if comparison.why_not:
        return f"no interval: {comparison.why_not}"
    if winner.baseline is None:
        return "no baseline to compare with"
    if winner.trial == winner.baseline:
        return winner.note
    p = comparison.of(winner.trial)["p_holm"]
    said = f"adjusted p {p_value(p)}" if math.isfinite(p) else "p is undefined"
    return f"{_against_baseline(comparisons, comparison)} ({said})"


def _against_baseline(comparisons: Comparisons, comparison: Comparison) -> str:
    """BETTER, WORSE or NOT_SIGNIFICANT, of a winner that has a baseline."""
    winner = comparison.winner
    if is_significant(comparisons, comparison):
        return BETTER
    if winner.trial != winner.baseline and comparison.of(winner.trial)["p_holm"] < SIGNIFICANT:
        return WORSE
    return NOT_SIGNIFICANT
