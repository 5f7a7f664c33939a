"""Whether early stopping looked at what the search optimised: how validation's Spearman and an objective agree.

Trials are stopped by val/spearman, whatever the objective. What that costs depends on how well the two rank the trials alike,
which the trials that finished show.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from nrtune.analysis.selection.pareto import Objective, objectives_of
from nrtune.analysis.sources.trials import Trials
from nrtune.analysis.store.records import FINISHED, PRUNED, TrialRecord
from nrtune.analysis.wording import count, listed

LOOKED_AT = "val/spearman"
"""What early stopping goes by."""

MIN_FINISHED = 10
"""Finished trials below which the interval is so wide that nothing is said: of 10, 0.5 is −0.2 to 0.9."""

LOW = 0.5
"""A correlation below which there is a warning: the best of 30 trials by the objective is then outside the best third by
validation, where ASHA stops it, in a quarter of searches (docs/LOG.md)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """How val/spearman and an objective rank the trials of a search that finished.

    finished: trials that have both. stopped: trials that were stopped early, and are not among them. correlation: Spearman's,
    + where a trial that is good at one is good at the other; NaN below MIN_FINISHED trials, and where all values of one are
    alike. low, high: its 95 % interval.
    """

    objective: Objective
    finished: int
    stopped: int
    correlation: float
    low: float
    high: float

    @property
    def is_doubtful(self) -> bool:
        """Whether early stopping may well have stopped trials that are good at the objective."""
        return not (self.correlation >= LOW and self.low > 0)

    def sentence(self) -> str:
        """What a user should know of it, in one sentence."""
        objective = self.objective.metric + (", to be small" if self.objective.direction == "min" else "")
        head = f"early stopping looked at {LOOKED_AT}, the objective is {objective}: "
        if math.isnan(self.correlation):
            why = (
                f"only {count(self.finished, 'trial')} finished with both"
                if self.finished < MIN_FINISHED
                else f"the {self.finished} trials that finished are all alike in one of them"
            )
            return f"{head}how well they agree isn't known, as {why}; --scheduler none stops no trial"
        agree = "" if self.objective.direction == "max" else " (+: they agree)"
        said = (
            f"{head}over the {self.finished} trials that finished their Spearman correlation{agree} is"
            f" {_short(self.correlation)} (95 % interval {_short(self.low)} to {_short(self.high)});"
            f" {count(self.stopped, 'trial')} stopped early not among them"
        )
        if not self.is_doubtful:
            return said
        reasons = [f"below {LOW:g}"] if self.correlation < LOW else []
        reasons += ["not significantly different from 0"] if self.low <= 0 <= self.high else []
        return (
            f"warning: {said}; that is {listed(reasons)}, so trials that are good at the objective may have been stopped:"
            " search with --scheduler none, in another --out"
        )


def agreements(source: Trials) -> list[Agreement]:
    """How val/spearman and each objective agree; none where no trial was stopped, nor for val/spearman itself.

    Over a search's own trials: replicates are more seeds of some of them, and were not stopped.
    What finished is what validation let through: over all trials, the stopped ones included, the correlation may be another.
    """
    own = [record for record in source.records() if record.replicate_of is None]
    stopped = sum(record.status == PRUNED for record in own)
    if not stopped:
        return []
    finished = [record for record in own if record.status == FINISHED]
    objectives = objectives_of(source.objectives, source.select_on)
    return [_agreement(finished, stopped, one) for one in objectives if one != (LOOKED_AT, "max")]


def _agreement(finished: Sequence[TrialRecord], stopped: int, objective: Objective) -> Agreement:
    both = [record.metrics for record in finished if {LOOKED_AT, objective.metric} <= record.metrics.keys()]
    sign = 1.0 if objective.direction == "max" else -1.0
    validation = np.array([metrics[LOOKED_AT] for metrics in both])
    values = sign * np.array([metrics[objective.metric] for metrics in both])
    correlation, low, high = math.nan, math.nan, math.nan
    if len(both) >= MIN_FINISHED and np.ptp(validation) > 0 and np.ptp(values) > 0:
        correlation, low, high = spearman_interval(validation, values)
    return Agreement(
        objective=objective, finished=len(both), stopped=stopped, correlation=correlation, low=low, high=high
    )


def spearman_interval(
    one: NDArray[np.float64], other: NDArray[np.float64], level: float = 0.95
) -> tuple[float, float, float]:
    """Spearman's correlation of two (n,) and its interval, n > 3, neither constant.

    Fisher's z with the standard error of Bonett and Wright (2000, doi:10.1007/BF02294183), sqrt((1 + r²/2) / (n − 3)).
    A perfect correlation has no finite z; it gets the interval of the largest that isn't perfect, two neighbours swapped,
    up to ±1.
    """
    n = len(one)
    r = float(np.clip(np.corrcoef(pd.Series(one).rank(), pd.Series(other).rank())[0, 1], -1.0, 1.0))
    largest = 1 - 12 / (n * (n**2 - 1))
    held = min(max(r, -largest), largest)
    half = float(ndtri((1 + level) / 2)) * math.sqrt((1 + held**2 / 2) / (n - 3))
    z = math.atanh(held)
    return r, min(math.tanh(z - half), r), max(math.tanh(z + half), r)


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
