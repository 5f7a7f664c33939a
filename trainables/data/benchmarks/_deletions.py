"""Deletions of one base, as people write them in a table of single bases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks import DELETION
from nrtune.trainables.data.findings import count_of

_DELETED = ("del", "<del>", "deletion", "\N{EN DASH}", "\N{MINUS SIGN}", "--")
"""What people write for DELETION, in lower case."""
_DELETED_OR_MISSING = ("", ".", "*")


def with_deletions(
    path: Path, ref: pd.Series[str], alt: pd.Series[str]
) -> tuple[pd.Series[str], pd.Series[str], NDArray[np.bool_]]:
    """Refs and alts, with DELETION for what is written otherwise, and (n,) which positions are of the base before, as in a VCF.

    Where some are written out, an empty Alt is none, and its row says too little. Raises UserError where nobody can know.
    """
    lowered = alt.str.lower()
    anchored = ((ref.str.len() == 2) & (alt.str.len() == 1) & (ref.str[:1].str.lower() == lowered)).to_numpy(bool)
    written_out = anchored | lowered.isin(_DELETED) | lowered.str.fullmatch("del[acgtun]")
    found = alt.mask(written_out, DELETION)
    unclear = found.isin(_DELETED_OR_MISSING).to_numpy(bool)
    if unclear.any() and not (found == DELETION).any():
        row = int(unclear.argmax())
        raise UserError(
            f"{path}: column Alt, row {row + 1}: {alt.iloc[row]!r} may be a deletion or a missing allele"
            f" ({count_of(int(unclear.sum()))});"
            f" write {DELETION} for a deletion, and leave out what lacks an allele"
        )
    return ref.where(~anchored, ref.str[1:]), found, anchored
