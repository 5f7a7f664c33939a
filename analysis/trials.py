"""A campaign's trials as a table, and its best trials."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.books import TRIALS, TrialRecord, read_manifest, read_records
from analysis.winners import USE_CASES, Winner, find_winner
from trainables.errors import UserError

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
)
"""The table's first columns; then the parameters by their flat names, then the metrics by theirs.

`same_as` names the trial that was trained where several names stand for one configuration, `replicate_of` the trial whose
configuration this one has with another seed.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestTrial:
    """The winner of a use case: how it was picked, its flat config, metrics, and where its model and predictions lie.

    published: the starting point that it is, if any, as in `TrialRecord`.
    """

    winner: Winner
    name: str
    family: str
    published: str | None
    fingerprint: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    checkpoint: Path
    predictions_test: Path
    predictions_cagi5: Path | None


class Campaign:
    """A campaign folder, read only: safe while a search is writing to it."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)

    @property
    def select_on(self) -> str:
        """What this campaign selects on."""
        return str(self.manifest["identity"]["select_on"])

    def records(self) -> list[TrialRecord]:
        """Every trial that ended, in that order."""
        return read_records(self.folder)

    def trials(self) -> pd.DataFrame:
        """One row a trial that ended, and one for each further name that it goes by.

        Columns: LEADING, parameters (such as `loss.k`), metrics (such as `test/spearman`).
        A parameter that a trial does not have, and a metric that is undefined for it, is missing.
        """
        return table_of(self.records())

    def best(self, use_case: str = "overall", select_on: str | None = None) -> BestTrial:
        """The best finished trial of a use case. Raises UserError where there is none."""
        records = self.records()
        winner = find_winner(table_of(records), use_case, select_on or self.select_on)
        record = next(record for record in records if record.name == winner.trial)
        folder = self.folder / TRIALS / record.fingerprint
        variants = folder / "predictions_cagi5.parquet"
        return BestTrial(
            winner=winner,
            name=record.name,
            family=record.family,
            published=record.published,
            fingerprint=record.fingerprint,
            config=record.config,
            metrics=record.metrics,
            checkpoint=folder / "best.pt",
            predictions_test=folder / "predictions_test.parquet",
            predictions_cagi5=variants if variants.exists() else None,
        )

    def best_of_all(self, select_on: str | None = None) -> tuple[dict[str, BestTrial], dict[str, str]]:
        """The best trial of every use case, and for those that have none the reason."""
        found, missing = {}, {}
        for name in USE_CASES:
            try:
                found[name] = self.best(name, select_on)
            except UserError as error:
                missing[name] = str(error)
        return found, missing


def open_campaign(folder: str | os.PathLike[str]) -> Campaign:
    """Open a campaign folder. Raises UserError where it holds none."""
    return Campaign(folder)


def table_of(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a trial, and one for each further name that it goes by: LEADING, then parameters, then metrics by name."""
    if not records:
        return pd.DataFrame({name: [] for name in LEADING})
    rows: list[dict[str, Any]] = []
    for record in records:
        row = {name: getattr(record, name, None) for name in LEADING} | dict(record.config) | dict(record.metrics)
        rows.append(row)
        for name, family in record.also.items():
            rows.append({**row, "name": name, "family": family, "published": name, "same_as": record.name})
    parameters = sorted({key for record in records for key in record.config})
    metrics = sorted({key for record in records for key in record.metrics})
    return pd.DataFrame.from_records(rows)[[*LEADING, *parameters, *metrics]]
