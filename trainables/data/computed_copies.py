"""Reverse complements that were computed, not measured: they have the value of the sequence that they are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement
from nrtune.trainables.data.source_rows import SourceRows

MOSTLY = 0.5
"""Measurements of two orientations may agree by chance: values are copies where they agree in this share of pairs."""
CLOSE = 1e-2
"""Differences, in standard deviations of the activity, of values that were one number before they were written, rounded or
jittered: measurements agree so well in few pairs unless a thousandth of their variance is noise."""
NORMAL = 1.349
"""Interquartile range of a normal distribution, in standard deviations: one value far off does not change it."""
SOME = 0.02
"""The share of pairs that are a step apart, and none more, from which on the step is too coarse to tell anything."""
DECIMALS = 3
"""Decimals that coarsely rounded values have at most."""
ROUNDED = 1e-2
"""What is nearer to a whole number is one, but for the precision of float32."""
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
    scale = float(np.subtract(*np.quantile(activity, [0.75, 0.25])) / NORMAL) if len(activity) else 0.0
    count = np.zeros((2, 2), int)  # of elements without and with a mark: all, and those whose values agree
    found: tuple[list[int], list[int]] = [], []
    pairs: tuple[list[tuple[int, int]], list[tuple[int, int]]] = [], []
    for sequence, rows in rows_of.items():
        others = rows_of.get(reverse[rows[0]], [])
        if not others or sequence == reverse[rows[0]] or others[0] < rows[0]:
            continue
        free = list(others)
        is_marked = marked is not None and {marked[row] for row in rows} != {marked[row] for row in others}
        of_element: list[int] = []
        for row in rows:
            if not free:
                break
            difference = np.abs(activity[free].astype(np.float64) - float(activity[row]))
            twin = free[int(difference.argmin())]
            pairs[is_marked].append((row, twin))
            if difference.min() <= scale * CLOSE:
                free.remove(twin)
                of_element.append(row if is_marked and marked is not None and marked[row] else twin)
        count[int(is_marked)] += 1, bool(of_element)
        found[is_marked].extend(of_element)
    for of_mark, of_pairs, (elements, alike) in zip(found, pairs, count, strict=True):
        one, other = np.array(of_pairs, np.int64).reshape(-1, 2).T
        if alike - equal_by_rounding(activity, one, other) * elements >= MOSTLY * elements:
            copies[of_mark] = True
    return copies


def equal_by_rounding(activity: NDArray[np.float32], one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """The share of pairs, rows (n,) each, whose activity is one value for being rounded alone: at most, and 0 to 1.

    Where measurements are rounded coarsely, as to a decimal, about as many pairs differ by one step of that as are equal, and
    fewer by two: from these two follows how many may be equal, with differences distributed as by Laplace, or less peaked.
    """
    step = _step(activity)
    if not len(one) or not step:
        return 0.0
    apart = np.rint(np.abs(activity[one].astype(np.float64) - activity[other]) / step)
    by_one, by_two = (int((apart == steps).sum()) for steps in (1, 2))
    if not by_two and by_one >= SOME * len(one):
        return 1.0  # all lie within a step of each other
    return min(1.0, by_one * max(by_one, by_two) / (2 * max(by_two, 1) * len(one)))


def _step(activity: NDArray[np.float32]) -> float:
    """The number that all values are multiples of, a thousandth or more; 0 without."""
    for decimals in range(DECIMALS + 1):
        scaled = activity.astype(np.float64) * 10**decimals
        if len(scaled) and (np.abs(scaled - np.rint(scaled)) < ROUNDED).all():
            return int(np.gcd.reduce(np.rint(scaled).astype(np.int64))) / float(10**decimals)
    return 0.0


def finding_of(
    copies: NDArray[np.bool_], where: str, places: SourceRows, column: str | None = None
) -> tuple[Finding, ...]:
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
            example=places.one,
            advice="nrtune reads both strands itself (--recipe field)",
        )
    )
