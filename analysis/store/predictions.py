"""What a trial predicted, a row a test sequence and a row a variant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nrtune.trainables.core.files import PREDICTIONS

_TEST_COLUMNS = ("row", "activity", "prediction", "aleatoric_std")
_VARIANT_COLUMNS = ("element", "part", "chrom", "pos", "ref", "alt", "value", "confidence", "variant_effect")
_SATMUT_COLUMNS = ("element", "matched", "pos", "ref", "alt", "value", "significant", "variant_effect")


class Predictions(NamedTuple):
    """A model's predictions, None where there are none; the rows are the same for all models of a campaign.

    test: row, activity, prediction and, if it was measured, aleatoric_std. variants: element, part, chrom, pos, ref, alt,
    value, confidence, variant_effect. satmut: the saturation mutagenesis study's own table: element, matched, pos, ref, alt,
    value, significant, variant_effect.
    """

    test: pd.DataFrame | None
    variants: pd.DataFrame | None
    satmut: pd.DataFrame | None = None


def read_predictions(find: Callable[[str], Path | None]) -> Predictions:
    """Read a trial's predictions; `find` gives the path of a file by its name, None where there is none."""
    columns = (_TEST_COLUMNS, _VARIANT_COLUMNS, _SATMUT_COLUMNS)
    return Predictions(*(_read(find(name), wanted) for name, wanted in zip(PREDICTIONS, columns, strict=True)))


def _read(path: Path | None, columns: Sequence[str]) -> pd.DataFrame | None:
    if path is None:
        return None
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    there = [name for name in columns if name in file.schema_arrow.names]
    table: pd.DataFrame = file.read(columns=there).to_pandas()
    return table
