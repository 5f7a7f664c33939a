"""What a trial predicted, a row a test sequence and a row a variant of each benchmark."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from nrtune.trainables.core.files import TEST, predictions_file
from nrtune.trainables.core.shape import DamagedFile, DamagedWarning
from nrtune.trainables.data.benchmarks.cagi5 import HIGH_CONFIDENCE
from nrtune.trainables.evaluation.metrics import affine_fit
from nrtune.trainables.evaluation.stored import read_stored

_NOT_NEEDED = frozenset({"ref_prediction", "alt_prediction", "log_variance", "noise_free"})

CALIBRATED = "calibrated_prediction"

ROW_KEYS = ("row", "activity", "element", "part", "matched", "stratum", "chrom", "pos", "ref", "alt", "value")
"""What rows of two tables are compared by, as far as both have it."""


def same_rows(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables of predictions are of the same sequences, or variants, in the same order."""
    keys = [name for name in ROW_KEYS if name in one and name in other]
    return len(one) == len(other) and all(one[key].equals(other[key]) for key in keys)


class Predictions(NamedTuple):
    """A model's predictions; the rows are the same for all models of a campaign.

    test: row, activity, prediction, calibrated_prediction and, if it was measured, aleatoric_std; None where there are none.
    `prediction` is the model's own output, which metrics are made from, `calibrated_prediction` log2(RNA/DNA), by least squares
    on validation rows whatever the sign of its slope; older files, and those of other models, have none. effects: by benchmark
    the columns of `VariantSet.table` and variant_effect, of the model's own output.
    """

    test: pd.DataFrame | None
    effects: Mapping[str, pd.DataFrame] = MappingProxyType({})

    def calibrated(self) -> Predictions | None:
        """The same with `prediction` and `variant_effect` in log2(RNA/DNA); None where they are on no known scale."""
        if self.test is None or CALIBRATED not in self.test:
            return None
        slope, _ = affine_fit(self.test["prediction"].to_numpy(), self.test[CALIBRATED].to_numpy())
        effects = {
            name: table.assign(variant_effect=slope * table["variant_effect"].to_numpy(np.float64))
            for name, table in self.effects.items()
        }
        return Predictions(self.test.assign(prediction=self.test[CALIBRATED]), effects)


def read_predictions(
    find: Callable[[str], Path | None], benchmarks: Iterable[str], whose: str | None = None
) -> Predictions:
    """Read a trial's predictions, those of benchmarks by their names.

    find: gives the path of a file by its name, None where there is none. whose: the trial's fingerprint, or the non-neural
    baseline's name. A file that is damaged, or another's, does not count: a DamagedWarning says so.
    """
    effects = {name: _read(find(predictions_file(name)), whose) for name in benchmarks}
    return Predictions(
        _read(find(predictions_file(TEST)), whose),
        {name: table for name, table in effects.items() if table is not None},
    )


def strata_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which of the variants of a table of predictions are in each stratum, (V,) each, `all` first.

    Tables that were stored before there were strata by name have what CAGI5's and the saturation mutagenesis table's follow
    from.
    """
    if "stratum" in table:
        stratum = table["stratum"].to_numpy(str)
    elif "confidence" in table:
        stratum = np.where(table["confidence"].to_numpy(np.float64) >= HIGH_CONFIDENCE, "hc", "lc")
    elif "significant" in table:
        stratum = np.where(table["significant"].to_numpy(bool), "hc", "lc")
    else:
        stratum = np.full(len(table), "")
    return {"all": np.ones(len(table), bool)} | {name: stratum == name for name in map(str, np.unique(stratum)) if name}


def _read(path: Path | None, whose: str | None) -> pd.DataFrame | None:
    """None also where the file does not count, with a warning that says why."""
    if path is None:
        return None
    try:
        return read_stored(path, whose, _NOT_NEEDED)
    except DamagedFile as error:
        warnings.warn(str(error), DamagedWarning, stacklevel=2)
        return None
