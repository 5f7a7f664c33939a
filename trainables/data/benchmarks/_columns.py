"""Columns of texts, read as numbers: what is none is refused with its row."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, quoted
from nrtune.trainables.data.benchmarks import MOST_NAMES
from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.tables import NOTHING, NUMBER

NO_NAME = re.compile(r"[^\w\-. :]")
"""What MLflow takes in no name of a metric, and / which parts them."""

LONGEST_NAME = 100
"""Letters of an element's name or a stratum's: those of a metric's, which MLflow takes up to 250 of, hold both."""

VARIANT_TWICE = "variant-twice"


def numbers(path: Path, table: pd.DataFrame, column: str, *, missing: bool = False) -> NDArray[np.float64]:
    """A column's finite numbers, (n,); missing: whether one may be missing, which is NaN. Raises UserError with the row."""
    found = np.full(len(table), np.nan)
    for row, cell in enumerate(table[column]):
        text = str(cell).strip()
        if NUMBER.fullmatch(text):
            found[row] = float(text)
        elif missing and text.lower() in NOTHING:
            continue
        if not np.isfinite(found[row]):
            raise UserError(
                f"{path}: column {column}, row {row + 1}: {quoted(text)!r} is not a finite number; mend or remove the row"
            )
    return found


def whole_numbers(path: Path, table: pd.DataFrame, column: str, *, missing: bool = False) -> NDArray[np.float64]:
    """A column's whole numbers below 2**53, (n,), as of `numbers`."""
    found = numbers(path, table, column, missing=missing)
    wrong = ~np.isnan(found) & ((found != np.rint(found)) | (np.abs(found) >= 2**53))
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"{path}: column {column}, row {row + 1}: {quoted(str(table[column].iloc[row]).strip())!r} is not a whole number"
        )
    return found


def text_of(cell: object) -> str:
    """A cell as text without blanks around it, "" where Parquet has none."""
    return "" if cell is None or cell != cell else str(cell).strip()


def check_names(where: str, names: Collection[str]) -> None:
    """Refuse names of elements and strata that can't be part of a metric's, and more of them than can be told apart."""
    for name in names:
        if NO_NAME.search(name) or name in ("all", "mean"):
            raise UserError(f"{where}: {quoted(name)!r} can't be a name here; metrics are named with it")
        if len(name) > LONGEST_NAME:
            raise UserError(
                f"{where}: {quoted(name)!r} has more than {LONGEST_NAME} letters; metrics are named with it"
            )
    if len(names) > MOST_NAMES:
        raise UserError(f"{where}: has {len(names)} names; up to {MOST_NAMES} can be told apart")


def without_copies(table: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[Finding]]:
    """The rows that are no copy of one before them, and what is found if some are."""
    copy = table.duplicated().to_numpy(bool)
    what = "rows are copies of others, value and all; one of each is kept"
    return table[~copy], flagged(copy, VARIANT_TWICE, "warning", what, where=where)
