"""What a comparison found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from nrtune.analysis.selection.winners import Winner
from nrtune.analysis.uncertainty.power import Power
from nrtune.analysis.uncertainty.student import SIGNIFICANT

BETTER, SAME, WORSE = "better", "not significantly different", "worse"
NOT_TESTED = "not tested"


def word_for(improvement: float, p: float) -> str:
    """What a tested difference is called: BETTER, SAME or WORSE."""
    if not p < SIGNIFICANT:
        return SAME
    return BETTER if improvement > 0 else WORSE


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgainstNonNeural:
    """A use case's winner against the non-neural baseline that has the best value of a metric; what is unknown is None.

    value, low, high: the non-neural baseline's, with its interval. improvement: of the winner over it, + is better, with
    its interval, p and p_adjusted (for the number of candidates, Holm), where it was tested. verdict: BETTER, SAME, WORSE, or
    "not tested: " and why.
    """

    metric: str
    baseline: str
    value: float
    low: float | None = None
    high: float | None = None
    improvement: float | None = None
    improvement_low: float | None = None
    improvement_high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    verdict: str = NOT_TESTED


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """A use case's winner among all that it was picked from.

    table: a row a configuration, winner and baseline among them, the best reported value first: name, family, encoder,
    replicates; value with low and high; baseline, the best on the same encoder, else the best of all; improvement over that
    (+ is better, whatever the metric) with improvement_low,
    improvement_high, p and p_holm (corrected for the number of candidates); behind, by which it is behind the winner,
    with behind_low and behind_high; against_winner, BETTER, SAME or WORSE of what was tested against it, else ""; rank
    with rank_low and rank_high, and probability_best, over candidates alone. For a use case of several metrics the value is
    the mean percentile rank. p, ranks and probabilities are missing where nothing was tested. elements: how many loci the metric
    is a mean over, where they are FEWEST_LOCI or more, else 0; then elements_low and elements_high, and
    improvement_elements_low and improvement_elements_high, hold for elements that were not measured as well.
    blocks: base pairs of the blocks for values and for differences; None where no positions are drawn.
    power: what the test of the winner against the baseline could have found; None where there was none.
    left_out: the winner when an element is left out of the selection. why_not: why there are no intervals, or "".
    not_tested: why the winner was not tested against the baseline, or "". against_non_neural: BETTER, SAME or WORSE than the
    best non-neural baseline in the use case's metric, or "not tested" and why; non_neural: that, and the same of test metrics.
    """

    winner: Winner
    table: pd.DataFrame
    power: Power | None
    left_out: Mapping[str, str]
    why_not: str
    not_tested: str
    against_non_neural: str
    non_neural: tuple[AgainstNonNeural, ...]
    blocks: tuple[int, int] | None

    def against_winner(self, verdict: str) -> tuple[str, ...]:
        """The candidates that are BETTER or WORSE than the winner, or the SAME; the winner is not among them."""
        return tuple(self.table["name"][self.table["against_winner"] == verdict])

    def of(self, name: str) -> pd.Series[Any]:
        """A configuration's row."""
        return self.table[self.table["name"] == name].iloc[0]
