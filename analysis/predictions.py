"""What a trial predicted, a row a test sequence and a row a variant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from trainables.files import TEST_PREDICTIONS, VARIANT_PREDICTIONS

_TEST_COLUMNS = ("row", "activity", "prediction", "aleatoric_std")
_VARIANT_COLUMNS = ("element", "part", "chrom", "pos", "ref", "alt", "value", "confidence", "variant_effect")


class Predictions(NamedTuple):
    """A model's predictions, None where there are none; the rows are the same for all models of a campaign.

    test: row, activity, prediction and, if it was measured, aleatoric_std. variants: element, part, chrom, pos, ref, alt,
    value, confidence, variant_effect.
    """

    test: pd.DataFrame | None
    variants: pd.DataFrame | None


def read_predictions(find: Callable[[str], Path | None]) -> Predictions:
    """Read a trial's predictions; `find` gives the path of a file by its name, None where there is none."""
    return Predictions(_read(find(TEST_PREDICTIONS), _TEST_COLUMNS), _read(find(VARIANT_PREDICTIONS), _VARIANT_COLUMNS))


def _read(path: Path | None, columns: Sequence[str]) -> pd.DataFrame | None:
    if path is None:
        return None
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    there = [name for name in columns if name in file.schema_arrow.names]
    table: pd.DataFrame = file.read(columns=there).to_pandas()
    return table
