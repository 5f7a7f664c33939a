"""What is found where a file's letters were taken for others: U for T, lower case for upper case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.findings import Finding, flagged, row_of


def letter_findings(
    where: str,
    rna: NDArray[np.bool_],
    lower: NDArray[np.bool_] | None = None,
    *,
    what: str = "sequences",
    example: Callable[[int], str] = row_of,
) -> list[Finding]:
    """Notes on things, (n,) each, that hold U, and lower case; none where nothing does. what: what they are called."""
    found = flagged(rna, "u-for-t", "note", f"{what} hold U, taken for T", where=where, example=example)
    if lower is None:
        return found
    masked = f"{what} hold lower case (soft-masked), taken as bases"
    return [*found, *flagged(lower, "soft-masked", "note", masked, where=where, example=example)]
