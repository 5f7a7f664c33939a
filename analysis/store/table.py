"""Trials as a table: what they are called, their parameters, their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from nrtune.analysis.store.records import TrialRecord

LEADING = (
    "name",
    "family",
    "status",
    "fingerprint",
    "published",
    "same_as",
    "replicate_of",
    "failure_class",
    "epochs_trained",
    "seconds",
    "ended",
    "attempts",
    "micro_batches",
    "cpu_seconds",
    "gpu_seconds",
)
"""The table's first columns; then the parameters by their flat names, then the metrics by theirs.

`same_as` names the trial that was trained where several names stand for one configuration, `replicate_of` the trial whose
configuration this one has with another seed.
"""


def table_of(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a trial, and one for each further name that it goes by: LEADING, then parameters, then metrics by name."""
    if not records:
        return pd.DataFrame({name: [] for name in LEADING})
    rows: list[dict[str, Any]] = []
    for record in records:
        row = {name: getattr(record, name, None) for name in LEADING} | dict(record.config) | dict(record.metrics)
        rows.append(row)
        for name, family in record.aliases.items():
            rows.append({**row, "name": name, "family": family, "published": name, "same_as": record.name})
    parameters = sorted({key for record in records for key in record.config})
    metrics = sorted({key for record in records for key in record.metrics})
    return pd.DataFrame.from_records(rows)[[*LEADING, *parameters, *metrics]]


def split_columns(columns: Iterable[str]) -> tuple[list[str], list[str]]:
    """The parameters and the metrics among a table's columns: metrics have a slash in their names, or are `best_epoch`."""
    others = [name for name in columns if name not in LEADING]
    metrics = [name for name in others if "/" in name or name == "best_epoch"]
    return [name for name in others if name not in metrics], metrics
