"""The noise of a table's measurements: of a column, of replicates, or of two orientations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.columns import MpraTable
from nrtune.trainables.data.findings import Finding

NOISE_SOURCES = ("auto", "orientation", "replicates", "none")
DISAGREES = 0.1
"""The share of rows from which on a column of noise is not that of the replicates."""
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
        return measured[kept].astype(np.float32), f"column {tables[0].name('noise')}"
    if noise == "replicates" or (noise == "auto" and replicates is not None):
        if replicates is None:
            raise UserError(f"{where}: noise from replicates needs two replicate columns or more; name them with --columns"
                            " replicates=ONE+OTHER")  # fmt: skip
        return pd.DataFrame(replicates[kept]).std(axis=1, ddof=1).to_numpy(np.float32), "replicates"
    paired = partner >= 0
    if noise == "orientation" and not paired.any():
        raise UserError(f"{where}: no sequence is another's reverse complement, so there is no noise from orientations")
    if noise == "orientation" or (noise == "auto" and paired.mean() >= 0.5):
        std = np.abs(activity - activity[partner]) / np.float32(np.sqrt(2))
        return std.astype(np.float32), "orientation"
    return None, "none"


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


def disagreement(tables: Sequence[MpraTable], where: str) -> tuple[Finding, ...]:
    """What a column of noise is where it is not the standard deviation of the replicates that were named beside it."""
    measured = _of_all(tables, [table.numbers("noise") for table in tables], "noise")
    replicates = _of_all(tables, [table.replicates() for table in tables], "replicates")
    if measured is None or replicates is None:
        return ()
    frame = pd.DataFrame(replicates)
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
            example=f"row {row + 1}: {measured[row]:.4g} for {std[row]:.4g}",
            advice="--columns noise= takes the noise from the replicates",
        ),
    )


def _close(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where two are the same but for rounding: by CLOSE, or at the third decimal."""
    return np.asarray(np.abs(one - other) <= CLOSE * np.abs(other) + 1e-3, np.bool_)
