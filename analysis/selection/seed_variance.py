"""How much a metric varies from one training of a configuration to the next, pooled over all that were trained several times.

Without it a single training's interval covers 51 %: over seeds the mean CAGI5 Spearman of the study's published configurations
has a standard deviation of 0.0185. And three trainings alone tell it with two degrees of freedom, which detect nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from nrtune.analysis.selection.configurations import configurations
from nrtune.analysis.store.records import FINISHED, SCORED

ENOUGH_FREEDOM = 10
"""Degrees of freedom from which on a family's own variance is taken instead of all families'."""


class Pooled(NamedTuple):
    """A variance over seeds and its degrees of freedom; (0, 0) where it is unknown."""

    variance: float
    freedom: float


UNKNOWN = Pooled(0.0, 0.0)


class SeedVariance:
    """The variance over seeds of the trials of a table, as of `nrtune.analysis.store.table.table_of`.

    Replicates of a trial count without the trial itself, which was picked for its value; published seeds count together.
    own: the table's `configurations` by their own trainings, where they are known already.
    """

    def __init__(self, trials: pd.DataFrame, own: pd.DataFrame | None = None) -> None:
        self._trials = trials.drop_duplicates("name") if len(trials) else trials
        self._groups: list[tuple[str, list[int]]] = []  # a family, and rows of the table
        if not len(trials):
            return
        found: list[tuple[str, list[str]]] = []
        if "replicate_of" in trials:
            again = trials[trials["replicate_of"].notna() & trials["status"].isin([FINISHED, SCORED])]
            found += [(of["family"].iloc[0], list(of["name"])) for _, of in again.groupby("replicate_of")]
        own = configurations(trials, fresh=False) if own is None else own
        found += [(family, list(names)) for family, names in zip(own["family"], own["trainings"], strict=True)]
        row = {name: at for at, name in enumerate(self._trials["name"])}
        self._groups = [(family, [row[name] for name in names]) for family, names in found if len(names) > 1]

    @property
    def configurations(self) -> int:
        """How many configurations were trained several times."""
        return len(self._groups)

    def of(self, metric: str, family: str) -> Pooled:
        """A metric's variance over seeds: of a family where that has ENOUGH_FREEDOM, else of all families together."""
        if not self._groups or metric not in self._trials:
            return UNKNOWN
        values = self._trials[metric].to_numpy(np.float64)
        by_family: defaultdict[str, list[Pooled]] = defaultdict(list)
        for of, rows in self._groups:
            found = values[rows]
            found = found[~np.isnan(found)]
            if len(found) > 1:
                by_family[of].append(Pooled(float(np.var(found, ddof=1)), len(found) - 1.0))
        own = _pool(by_family[family])
        return own if own.freedom >= ENOUGH_FREEDOM else _pool([one for of in by_family.values() for one in of])


def _pool(found: Sequence[Pooled]) -> Pooled:
    freedom = sum(one.freedom for one in found)
    return Pooled(sum(one.variance * one.freedom for one in found) / freedom, freedom) if freedom else UNKNOWN
