"""Whether sequences of a table are of lengths that one library has: all are filled with N to the longest one's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.source_rows import SourceRows

MOST = 0.95
"""The share of rows that a longer sequence is compared with."""
LONGER, FAR = 1.5, 10.0
"""Times their longest one from which on a sequence is said to be longer, and is none of the library: two that were joined, or a
chromosome in a cell."""


def check_lengths(lengths: NDArray[np.int64], where: str, places: SourceRows) -> list[Finding]:
    """What is found of sequences, whose lengths (N,) are, that are longer than MOST. Raises UserError for those that are FAR."""
    usual = int(np.quantile(lengths, MOST, method="lower"))
    row = int(lengths.argmax())
    if lengths[row] > FAR * usual:
        raise UserError(
            f"{where}: {places.one(row)} has a sequence of {lengths[row]:,} bases, and {MOST * 100:g} % of the rows have"
            f" {usual:,} or fewer: all would be filled with N to its length; mend the row, or leave it out"
        )
    return flagged(
        lengths > LONGER * usual,
        "length-far-off",
        "warning",
        f"sequences have more than {LONGER:g} times the {usual:,} bases that {MOST * 100:g} % have at most: all others are filled"
        " with N to the longest one's length",
        where=where,
        example=lambda place: f"{places.one(place)}, of {lengths[place]:,}",
        advice="see that each is one sequence, or leave them out",
    )
