"""What a comparison found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from nrtune.analysis.selection.winners import Winner


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """A use case's winner among all that it was picked from.

    table: a row a configuration, winner and baseline among them, the best reported value first: name, family, replicates;
    value with low and high; improvement over the baseline (+ is better, whatever the metric) with improvement_low,
    improvement_high, p and p_holm (corrected for the number of candidates); behind, by which it is behind the winner,
    with behind_low and behind_high; not_different, whether that includes 0; rank with rank_low and rank_high, and
    probability_best, over candidates alone. For a use case of several metrics the value is the mean percentile rank.
    smallest_difference: what the variants, or sequences, could just tell from none, in the middle of the candidates.
    left_out: the winner when an element is left out of the selection. why_not: why there are no intervals, or "".
    """

    winner: Winner
    table: pd.DataFrame
    smallest_difference: float | None
    left_out: Mapping[str, str]
    why_not: str

    @property
    def not_different(self) -> tuple[str, ...]:
        """The winner, and every candidate that can't be told from it."""
        tied = self.table[self.table["not_different"].astype(bool) & self.table["candidate"]]
        return tuple(tied["name"])

    def of(self, name: str) -> pd.Series[Any]:
        """A configuration's row."""
        return self.table[self.table["name"] == name].iloc[0]
