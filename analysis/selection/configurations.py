"""Trials as configurations, each with the trainings that its values are means over."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nrtune.analysis.store.records import FINISHED, SCORED
from nrtune.analysis.store.table import split_columns

BASELINE = "baseline"

MIN_SEEDS = 3
"""Nothing is claimed of a winner, or against a baseline, with fewer; so many finished replicates confirm a candidate."""

SEED = "seed"


def configurations(trials: pd.DataFrame, *, fresh: bool = True, pooled: bool = True) -> pd.DataFrame:
    """The scored trials, a row a configuration; another name of a trial that is there is no second configuration.

    pooled: trainings that differ in their seeds alone, as published ones may, are one configuration, called as the first of
    them, with means over them. fresh: one that was trained again with MIN_SEEDS fresh seeds or more has means over those
    alone: it was chosen by the others. A mean of which a training's value is undefined is undefined.

    Columns besides: replicates, how many trainings the row's values are means over, 0 for one; trainings, their names; fresh,
    how many with fresh seeds there are; failed, how many of those failed.
    """
    ended = trials[trials["same_as"].isna()] if "same_as" in trials else trials
    ended = ended if "replicate_of" in ended else ended.assign(replicate_of=None)
    is_scored, again = ended["status"].isin([FINISHED, SCORED]), ended["replicate_of"].notna()
    own, replicates = ended[is_scored & ~again], ended[is_scored & again]
    groups = _by_configuration(own) if pooled else {name: [name] for name in own["name"]}
    members = {first: tuple(names) for first, names in groups.items()}
    counts, lost = (of["replicate_of"].value_counts() for of in (replicates, ended[again & ~is_scored]))
    if fresh:
        members |= {
            name: tuple(of.sort_values(SEED)["name"] if SEED in of else of["name"])
            for name, of in replicates.groupby("replicate_of")
            if len(of) >= MIN_SEEDS and name in members
        }  # fmt: skip
    found = own[own["name"].isin(members)].copy()
    names = found["name"].astype(str)
    found["trainings"] = [members[name] for name in names]
    found["replicates"] = [len(members[name]) if len(members[name]) > 1 else 0 for name in names]
    found["fresh"] = [int(counts.get(name, 0)) for name in names]
    found["failed"] = [int(lost.get(name, 0)) for name in names]
    several = found.index[found["replicates"] > 0]
    if len(several):
        metrics = [name for name in map(str, found.select_dtypes("number")) if "/" in name]
        values, row = ended[metrics].to_numpy(np.float64), {name: at for at, name in enumerate(ended["name"])}
        means = [values[[row[name] for name in of]].mean(axis=0) for of in found.loc[several, "trainings"]]
        found.loc[several, metrics] = np.stack(means)
    return found


def _by_configuration(trials: pd.DataFrame) -> dict[str, list[str]]:
    """Trainings that differ in their seeds alone, by the first of each; a table without seeds does not tell."""
    if SEED not in trials:
        return {str(name): [str(name)] for name in trials["name"]}
    parameters = [name for name in split_columns(map(str, trials.columns))[0] if name != SEED]
    rows = trials[["family", *parameters]].to_numpy(object).tolist()
    groups: dict[object, dict[object, str]] = {}  # by configuration, by seed
    for row, seed, name in zip(rows, trials[SEED], trials["name"], strict=True):
        # Of a parameter that a trial does not have, a table holds NaN, which is unlike itself.
        key = tuple(value if value == value else None for value in row)
        if seed in groups.get(key, {}):
            key = (*key, str(name))
        groups.setdefault(key, {})[seed] = str(name)
    return {names[0]: names for of in groups.values() for names in [list(of.values())]}
