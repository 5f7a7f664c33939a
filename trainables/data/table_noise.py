"""The noise of a table's measurements: of a column, of replicates, or of two orientations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.columns import MpraTable
from nrtune.trainables.data.findings import Finding, count_of
from nrtune.trainables.data.source_rows import SourceRows

NOISE_SOURCES = ("auto", "orientation", "replicates", "none")
DISAGREES = 0.1
"""The share of rows from which on a column of noise is not that of the replicates."""
FOLLOWS, SCALES = 0.8, 2.0
"""The least correlation of the replicates' mean with the activity, and the most by which their standard deviations differ."""
COPIED, FEW = 0.9999, 10
"""The correlation that replicates of any assay stay below, and the rows from which on it is looked at."""
CLOSE = 0.02
"""Relative difference of a standard deviation and the same one rounded."""


def noise_of(
    tables: Sequence[MpraTable],
    activity: NDArray[np.float32],
    partner: NDArray[np.int64],
    noise: str,
    kept: NDArray[np.int64],
) -> tuple[NDArray[np.float32] | None, str]:
    """The noise of the rows kept, (n,), or None, and where it is from.

    activity, partner: of the rows kept, (n,). noise: one of NOISE_SOURCES. Raises UserError where it is not there.
    """
    where = ",".join(str(table.path) for table in tables)
    measured = _of_all(tables, [table.numbers("noise") for table in tables], "noise")
    replicates = _of_all(tables, [table.replicates() for table in tables], "replicates")
    if noise == "auto" and measured is not None:
        _check_std(tables, measured, kept, tables[0].name("noise") or "noise", "a standard deviation is 0 or more")
        return measured[kept].astype(np.float32), f"column {tables[0].name('noise')}"
    if noise == "replicates" or (noise == "auto" and replicates is not None):
        if replicates is None:
            raise UserError(f"{where}: noise from replicates needs two replicate columns or more; name them with --columns"
                            " replicates=ONE+OTHER")  # fmt: skip
        std = pd.DataFrame(replicates).std(axis=1, ddof=1).to_numpy(np.float64)
        _check_std(tables, std, kept, "the deviation of the replicates", "a row needs two of them or more")
        return std[kept].astype(np.float32), "replicates"
    paired = partner >= 0
    if noise == "orientation" and not paired.any():
        raise UserError(f"{where}: no sequence is another's reverse complement, so there is no noise from orientations")
    if noise == "orientation" or (noise == "auto" and paired.mean() >= 0.5):
        std = np.abs(activity - activity[partner]) / np.float32(np.sqrt(2))
        return std.astype(np.float32), "orientation"
    return None, "none"


def _check_std(
    tables: Sequence[MpraTable], std: NDArray[np.float64], kept: NDArray[np.int64], what: str, needed: str
) -> None:
    """See that the rows kept have standard deviations. Raises UserError with the table's own row."""
    wrong = kept[~(std[kept] >= 0)]
    if len(wrong):
        row = int(wrong[0])
        starts = np.cumsum([0, *map(len, tables)])
        table = int(np.searchsorted(starts, row, side="right")) - 1
        have = "has" if len(wrong) == 1 else "have"
        raise UserError(
            f"{tables[table].path}: {what} is {std[row]:g} in row {row - starts[table] + 1}, and {count_of(len(wrong))} in all"
            f" {have} no noise; {needed}, so leave such rows out, or give --noise none"
        )


def _of_all(
    tables: Sequence[MpraTable], found: Sequence[NDArray[np.float64] | None], role: str
) -> NDArray[np.float64] | None:
    """What all tables have, or none. Raises UserError where only some have it."""
    there = [values for values in found if values is not None]
    if there and len(there) < len(found):
        lacking = next(table for table, values in zip(tables, found, strict=True) if values is None)
        raise UserError(
            f"{lacking.path}: has no column of {role}, and another table has; give all of them one, or none"
        )
    return np.concatenate(there) if there else None


def disagreement(
    tables: Sequence[MpraTable], activity: NDArray[np.float32], where: str, places: SourceRows
) -> tuple[Finding, ...]:
    """What of a table is not what its replicates say: its activity, (N,), is not their mean, its noise not their deviation."""
    measured = _of_all(tables, [table.numbers("noise") for table in tables], "noise")
    replicates = _of_all(tables, [table.replicates() for table in tables], "replicates")
    if replicates is None:
        return ()
    frame = pd.DataFrame(replicates)
    found = (
        *_copied(replicates, where),
        *_of_means(frame.mean(axis=1).to_numpy(np.float64), activity.astype(np.float64), where),
    )
    return found if measured is None else (*found, *_of_noise(tables, measured, frame, where, places))


def _copied(replicates: NDArray[np.float64], where: str) -> tuple[Finding, ...]:
    """What is found where replicates, (N, columns), are one another's multiple, but for a constant."""
    known = replicates[np.isfinite(replicates).all(axis=1)]
    if len(known) < FEW or (known.min(axis=0) == known.max(axis=0)).any():
        return ()
    highest = float(np.triu(np.corrcoef(known.T), 1).max())
    if highest < COPIED:
        return ()
    return (
        Finding(
            id="replicates-copied",
            severity="warning",
            what=f"two replicates correlate at {highest:.6f}: one was made from the other, and their deviation is no noise",
            where=where,
            advice="name replicates that were measured by themselves",
        ),
    )


def _of_means(mean: NDArray[np.float64], activity: NDArray[np.float64], where: str) -> tuple[Finding, ...]:
    """What is found where the activity does not follow the mean of the replicates, (N,) each."""
    known = np.isfinite(mean)
    spread = float(activity[known].std()) if known.any() else 0.0
    if spread == 0:
        return ()
    of_means = float(mean[known].std())
    correlation = float(np.corrcoef(mean[known], activity[known])[0, 1]) if of_means > 0 else 0.0
    if correlation >= FOLLOWS and 1 / SCALES <= of_means / spread <= SCALES:
        return ()
    return (
        Finding(
            id="replicates-disagree",
            severity="warning",
            what=f"the activity is not the mean of the replicates: they correlate at {correlation:.2f}, and the means' standard"
            f" deviation is {of_means:.3g}, the activity's {spread:.3g}",
            where=where,
            advice="see that both are log2 and of one order of rows; noise must be on the activity's scale",
        ),
    )


def _of_noise(
    tables: Sequence[MpraTable], measured: NDArray[np.float64], frame: pd.DataFrame, where: str, places: SourceRows
) -> tuple[Finding, ...]:
    """What a column of noise is where it is not the standard deviation of the replicates that were named beside it."""
    std = frame.std(axis=1, ddof=1).to_numpy(np.float64)
    known = np.isfinite(std) & np.isfinite(measured)
    differs = known & ~_close(measured, std)
    if not known.any() or differs.sum() < DISAGREES * known.sum():
        return ()
    others: Mapping[str, NDArray[np.float64]] = {
        "their variance": std**2,
        "their standard error": frame.sem(axis=1, ddof=1).to_numpy(np.float64),
        "their standard deviation with n, not n - 1": frame.std(axis=1, ddof=0).to_numpy(np.float64),
    }
    looks = next(
        (name for name, other in others.items() if (_close(measured, other) | ~known).mean() > 1 - DISAGREES), None
    )
    row = int(differs.argmax())
    return (
        Finding(
            id="noise-disagrees",
            severity="warning",
            what="the noise is not the standard deviation of the replicates" + (f" but {looks}" if looks else ""),
            where=f"{where}: {tables[0].name('noise')}",
            count=int(differs.sum()),
            of=int(known.sum()),
            example=f"{places.one(row)}: {measured[row]:.4g} for {std[row]:.4g}",
            advice="--columns noise= takes the noise from the replicates",
        ),
    )


def _close(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where two are the same but for rounding: by CLOSE, or at the third decimal."""
    return np.asarray(np.abs(one - other) <= CLOSE * np.abs(other) + 1e-3, np.bool_)
