"""Which baseline a configuration is compared to: the one on its own encoder, so that what an encoder gains is no family's."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from nrtune.analysis.selection.candidates import ENCODER, MIN_SEEDS, Field, field_of, ranked
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase


def by_encoder(field: Field, select_on: str) -> dict[str, str]:
    """The best baseline of a field on each encoder, by name; the best of all comes first."""
    found: dict[str, str] = {}
    if not field.baselines.empty:
        rows = ranked(field, select_on, baselines=True)
        if field.confirmed:  # what has too few seeds stands for its own encoder alone
            rows = rows.loc[(rows["replicates"] < MIN_SEEDS).sort_values(kind="stable").index]
        for encoder, name in zip(encoders_in(rows), rows["name"], strict=True):
            found.setdefault(encoder, str(name))
    return found


def encoders_in(rows: pd.DataFrame) -> list[str]:
    """The encoder of each row, "" where a table does not tell."""
    return [""] * len(rows) if ENCODER not in rows else ["" if e is None or e != e else str(e) for e in rows[ENCODER]]


def compared_to(field: Field, select_on: str) -> list[str | None]:
    """The baseline that each compared row of a field is compared to: the best on its encoder, else the best of all."""
    baselines = by_encoder(field, select_on)
    best = next(iter(baselines.values()), None)
    return [baselines.get(encoder, best) for encoder in encoders_in(field.compared)]


def best_baselines(
    trials: pd.DataFrame, use_case: str, select_on: str, use_cases: Mapping[str, UseCase] = USE_CASES
) -> dict[str, str]:
    """The best baseline on each encoder, of those that `field_of` has; the best of all first.

    Raises UserError where `field_of` does.
    """
    return by_encoder(field_of(trials, use_case, select_on, use_cases), select_on)
