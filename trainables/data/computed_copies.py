"""Reverse complements that were computed, not measured: they have the value of the sequence that they are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement

MOSTLY = 0.5
"""Rounded measurements of two orientations may agree by chance: values are copies where they agree in this share of pairs."""
CLOSE, CLOSE_MARKED = 1e-6, 1e-2
"""Differences, in standard deviations of the activity, of values that were one number before they were written or rounded."""
_PAD = bytes([N_TOKEN])


def computed_copies(
    tokens: NDArray[np.uint8], activity: NDArray[np.float32], marked: Sequence[bool] | None = None
) -> NDArray[np.bool_]:
    """Which rows (N,) are another row's reverse complement from end to end, adapters included, with its activity.

    Of such rows those go that are marked, else those in the orientation that comes later. marked: what a column such as rev says.
    """
    forward = [row.tobytes().strip(_PAD) for row in tokens]
    reverse = [row.tobytes().strip(_PAD) for row in reverse_complement(tokens)]
    rows_of: dict[bytes, list[int]] = defaultdict(list)
    for row, sequence in enumerate(forward):
        rows_of[sequence].append(row)
    copies = np.zeros(len(tokens), bool)
    scale = float(activity.std()) if len(activity) else 0.0
    paired = alike = 0
    unmarked: list[int] = []
    for sequence, rows in rows_of.items():
        others = rows_of.get(reverse[rows[0]], [])
        if not others or sequence == reverse[rows[0]] or others[0] < rows[0]:
            continue
        paired += 1
        free = list(others)
        found = False
        for row in rows:
            if not free:
                break
            difference = np.abs(activity[free].astype(np.float64) - float(activity[row]))
            twin = free[int(difference.argmin())]
            is_marked = marked is not None and marked[row] != marked[twin]
            if difference.min() > scale * (CLOSE_MARKED if is_marked else CLOSE):
                continue
            free.remove(twin)
            found = True
            if marked is not None and is_marked:
                copies[row if marked[row] else twin] = True
            else:
                unmarked.append(twin)
        alike += found
    if alike >= MOSTLY * paired:
        copies[unmarked] = True
    return copies


def finding_of(copies: NDArray[np.bool_], where: str, column: str | None = None) -> tuple[Finding, ...]:
    """What is said of copies, (N,), that were left out; nothing where there are none. column: what marks them."""
    by = f", as {column} says" if column else ""
    return tuple(
        flagged(
            copies,
            "computed-copies",
            "warning",
            f"rows are another row's reverse complement from end to end with its value{by}: computed, not measured,"
            " and left out",
            where=where,
            advice="nrtune reads both strands itself (--recipe field)",
        )
    )
