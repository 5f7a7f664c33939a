"""Two campaigns against each other: their winners, paired."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nrtune.analysis.selection.use_cases import asked_of
from nrtune.analysis.selection.winners import find_winner
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler
from nrtune.trainables.core.errors import UserError


def compare_winners(one: Comparisons, other: Comparisons) -> pd.DataFrame:
    """The winners of two campaigns, paired, for every use case of a single metric that both have a winner for.

    Columns: use_case, metric, trial, other_trial, value, other_value, difference with low and high, p. Raises UserError where
    the winners were not scored on the same rows.
    """
    columns = ["use_case", "metric", "trial", "other_trial", "value", "other_value", "difference", "low", "high", "p"]
    rows: list[dict[str, Any]] = []
    for use_case, rule in asked_of(one.table, one.use_cases).items():
        if rule.composite or use_case not in asked_of(other.table, other.use_cases):
            continue
        try:
            names = [find_winner(of.table, use_case, of.select_on, of.use_cases).trial for of in (one, other)]
        except UserError:
            continue
        members = [of.configuration(name) for of, name in zip((one, other), names, strict=True)]
        if any(member is None for member in members):
            raise UserError(f"use case {use_case}: no predictions are stored with {names[members.index(None)]}")
        found = [
            Configuration(f"{of.source.name}: {member.name}", member.seeds, member.predictions)
            for of, member in zip((one, other), members, strict=True)
            if member is not None
        ]
        resampler = Resampler(found, one.source.matched, one.how)
        ((metric, _),) = rule.metrics.items()
        if (resampled := resampler.metric(metric)) is None:
            continue
        against = resampler.differences(resampled, 1)
        values = [use_case, metric, *names, *resampled.estimate, against.estimate[0], against.low[0], against.high[0],
                  against.p[0]]  # fmt: skip
        rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame.from_records(rows, columns=columns)
