"""What values are, told from how they are distributed: few, one in many rows, a function of others, not of a log scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding, flagged

FEW = 10
"""Values that classes have, or numbers without a decimal; measurements have more, in"""
ROWS_EACH = 10
"""times so many rows."""
MANY = 0.1
"""The share of rows from which on one value is not a coincidence, where it is in"""
TIMES = 5
"""times as many as the next one: rounded measurements have no value so far ahead of its neighbours."""
LEAST = 30
"""Rows from which on a distribution is looked at."""


def are_few(values: NDArray[np.float32]) -> int:
    """How many different values there are where these are too few for measurements, FEW or fewer; else 0."""
    count = len(np.unique(values))
    return count if count <= FEW and len(values) >= ROWS_EACH * count else 0


def filled_in(values: NDArray[np.float32]) -> float | None:
    """The value that stands in so many rows as none that was measured; None without one."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(values) < LEAST or len(distinct) <= FEW:
        return None
    second, first = np.sort(counts)[-2:]
    return float(distinct[counts.argmax()]) if first >= max(MANY * len(values), TIMES * second) else None


def filled_in_findings(
    dataset: Dataset, name: str, values: NDArray[np.float32], value: float, how: str, advice: str
) -> list[Finding]:
    """What is found of the rows, of (N,) values of a name, that have the one of `filled_in`; how: it came to be there."""
    return flagged(
        values == np.float32(value),
        f"{name}-filled-in",
        "warning",
        f"rows have the {name} {value:g}, as where it is {how}: no measurement",
        where=dataset.name,
        example=dataset.places.one,
        advice=advice,
    )


def follows(values: NDArray[np.float32], of: NDArray[np.float32]) -> bool:
    """Whether values (n,) are a function of others, (n,), and no measurements beside these.

    By the coefficient of Chatterjee, J. Am. Stat. Assoc. 2021, doi:10.1080/01621459.2020.1758115: 0 for what is independent, 1
    for any function, less some n-th for each of its branches.
    """
    n = len(values)
    if n < LEAST or len(np.unique(values)) == 1:
        return False
    shuffled = np.random.default_rng(0).permutation(n)  # so that equal ones stand in no order of the file
    ordered = values[shuffled[np.argsort(of[shuffled], kind="stable")]]
    ascending = np.sort(ordered)
    upto = np.searchsorted(ascending, ordered, side="right")
    above = n - np.searchsorted(ascending, ordered, side="left")
    steps = float(np.abs(np.diff(upto)).sum())
    return n * steps / (2 * float((above * (n - above)).sum())) <= 0.03 + 6 / n


def skew(values: NDArray[np.float64]) -> float:
    """How much farther the upper tail of values reaches than the lower one, by quantiles; 1 where both reach as far."""
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return float((high - middle) / (middle - low)) if middle > low else np.inf
