"""Two campaigns against each other: their winners, paired."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from nrtune.analysis.selection.seed_variance import SeedVariance
from nrtune.analysis.selection.use_cases import asked_of
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.intervals import Resampler
from nrtune.analysis.uncertainty.tested import selected_on_it
from nrtune.trainables.core.errors import UserError


def compare_winners(one: Comparisons, other: Comparisons) -> pd.DataFrame:
    """The winners of two campaigns, paired, for every use case of a single metric that both have a winner for.

    Columns: use_case, metric, trial, other_trial, value, other_value, difference with low and high, p, which is missing
    where a winner of either has fewer than MIN_SEEDS seeds or was selected on the metric. Raises UserError where the winners
    were not scored on the same rows.
    """
    columns = ["use_case", "metric", "trial", "other_trial", "value", "other_value", "difference", "low", "high", "p"]
    rows: list[dict[str, Any]] = []
    seeds = SeedVariance(
        pd.concat([_named_apart(one.table, "one"), _named_apart(other.table, "other")], ignore_index=True)
    )
    for use_case, rule in asked_of(one.table, one.use_cases).items():
        if rule.composite or use_case not in asked_of(other.table, other.use_cases):
            continue
        try:
            winners = [of.winner(use_case) for of in (one, other)]
        except UserError:
            continue
        names = [winner.trial for winner in winners]
        members = [of.configuration(winner) for of, winner in zip((one, other), winners, strict=True)]
        if any(member is None for member in members):
            raise UserError(f"use case {use_case}: no predictions are stored with {names[members.index(None)]}")
        found = [
            member._replace(name=f"{of.source.name}: {member.name}")
            for of, member in zip((one, other), members, strict=True)
            if member is not None
        ]
        resampler = Resampler(found, one.source.matched, one.how, seeds)
        ((metric, _),) = rule.metrics.items()
        if (resampled := resampler.metric(metric)) is None:
            continue
        against = resampler.differences(resampled, 1)
        tested = all(winner.confirmed for winner in winners) and not selected_on_it(rule, one.select_on)
        tested &= not selected_on_it(rule, other.select_on)
        values = [use_case, metric, *names, *resampled.estimate, against.estimate[0], against.low[0], against.high[0],
                  against.p[0] if tested else math.nan]  # fmt: skip
        rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame.from_records(rows, columns=columns)


def _named_apart(trials: pd.DataFrame, campaign: str) -> pd.DataFrame:
    """A campaign's trials under names that none of the other has."""
    found = trials.copy()
    for column in ("name", "replicate_of", "same_as"):
        found[column] = found[column].map(lambda name: f"{campaign}: {name}", na_action="ignore")
    return found
