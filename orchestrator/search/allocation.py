"""Which family gets the next trial: as many for each, or more for those that promise more.

Adaptive: first, every family gets its minimum. Then the next trial goes to the family whose next trial is most likely to
beat the best objective so far. A family's next value is predicted by Student's t about the mean of its values so far: with
n of them, of standard deviation s, the prediction's variance is v (1 + 1/n), where v shrinks s² towards the mean of the
families' s² as if that had been seen in PRIOR more trials; the degrees of freedom are n − 1 + PRIOR. The probability is
multiplied by the share of the family's trials that gave a value, (with value + 1) / (ended + 1), since one that fails beats
nothing. Of equals the family that has started least is next. Values of trials that were stopped early count as they
stand: they are lower, as those trials are worse. The rule looks at what has ended alone, so a restart goes on alike.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np
from scipy.special import stdtr

from nrtune.analysis.store.records import TrialRecord
from nrtune.orchestrator.search.proposals import Proposer

PRIOR = 2.0
LEAST = 2
"""Trials that every family gets at least, and values below which a family has no standard deviation of its own."""


class Allocation(Protocol):
    """Hands the campaign's trials out to families."""

    def choose(self, families: Sequence[Proposer], started: Mapping[str, int]) -> Proposer | None:
        """The family, of these in the order asked for, that gets the next trial; None when all have been handed out."""

    def left(self, ended: Mapping[str, int], closed: Iterable[str]) -> int:
        """Trials that have not ended yet; families that are closed get no more."""


class Even:
    """As many trials for each family as are wanted of it; the one that lacks the largest share is next."""

    def __init__(self, wanted: Mapping[str, int]) -> None:
        self.wanted = wanted

    def choose(self, families: Sequence[Proposer], started: Mapping[str, int]) -> Proposer | None:
        """As `Allocation`."""
        lacking = [family for family in families if started[family.name] < self.wanted[family.name]]
        return min(lacking, key=lambda family: started[family.name] / self.wanted[family.name], default=None)

    def left(self, ended: Mapping[str, int], closed: Iterable[str]) -> int:
        """As `Allocation`."""
        return sum(max(0, n - ended[name]) for name, n in self.wanted.items() if name not in set(closed))


class Adaptive:
    """As many trials together as are wanted of all families, `least` for each, the others where they promise most.

    more: what some families get at least, where that is more. ended: by fingerprint, the trials that have ended; it grows while
    the search runs. objective: what a trial is worth, larger is better; of a search with several objectives the first.
    """

    def __init__(
        self,
        wanted: Mapping[str, int],
        least: int,
        ended: Mapping[str, TrialRecord],
        objective: Callable[[TrialRecord], float | None],
        more: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.wanted, self.records, self.objective = wanted, ended, objective
        self.least = {name: min(max(least, more.get(name, 0)), n) for name, n in wanted.items()}
        self.total = sum(wanted.values())

    def choose(self, families: Sequence[Proposer], started: Mapping[str, int]) -> Proposer | None:
        """As `Allocation`."""
        if sum(started[name] for name in self.wanted) >= self.total or not families:
            return None
        lacking = [family for family in families if started[family.name] < self.least[family.name]]
        if lacking:
            return min(lacking, key=lambda family: started[family.name] / self.least[family.name])
        chances = self.chances([family.name for family in families])
        return min(families, key=lambda family: (-chances[family.name], started[family.name]))

    def left(self, ended: Mapping[str, int], closed: Iterable[str]) -> int:
        """As `Allocation`: what a closed family does not use goes to the others, unless all are closed."""
        if set(self.wanted) <= set(closed):
            return 0
        return max(0, self.total - sum(ended[name] for name in self.wanted))

    def chances(self, families: Iterable[str]) -> dict[str, float]:
        """How likely the next trial of each family is to beat the best objective so far."""
        values: defaultdict[str, list[float]] = defaultdict(list)
        ended: Counter[str] = Counter()
        for record in self.records.values():
            ended[record.family] += 1
            if (value := self.objective(record)) is not None:
                values[record.family].append(value)
        spreads = [float(np.var(of, ddof=1)) for of in values.values() if len(of) >= LEAST]
        common = float(np.mean(spreads)) if spreads else math.nan
        best = max((max(of) for of in values.values()), default=math.nan)
        return {
            name: _chance(values[name], best, common) * (len(values[name]) + 1) / (ended[name] + 1) for name in families
        }


def _chance(values: Sequence[float], best: float, common: float) -> float:
    """The probability that a family's next value is above `best`; 1 for a family that nothing is known of."""
    n = len(values)
    if n == 0 or not common > 0:
        return 1.0 if n == 0 else float(max(values) >= best)
    own = float(np.var(values, ddof=1)) if n >= LEAST else 0.0
    freedom = n - 1 + PRIOR
    variance = ((n - 1) * own + PRIOR * common) / freedom
    return float(stdtr(freedom, (float(np.mean(values)) - best) / math.sqrt(variance * (1 + 1 / n))))
