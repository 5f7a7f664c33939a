"""Whether what is called activity, and its noise, are measurements: neither one value in all rows, nor a placeholder in some."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding, flagged

FAR = 3.0
"""A value that lies so many times the range of all others from them is a placeholder, such as -999, or a slip of the pen."""


def audit_activity(dataset: Dataset) -> list[Finding]:
    """What of the activity is one value in every row, and what of it, and of the noise, lies far from all others."""
    activity, std = dataset.activity, dataset.aleatoric_std
    found = flagged(
        np.full(len(activity), activity.min() == activity.max()),
        "activity-constant",
        "warning",
        f"the activity is {activity[0]:g} in every row: there is nothing to learn",
        where=dataset.name,
        example=dataset.places.one,
        advice="name the column of the measurements with --columns activity=NAME",
    )
    for name, values in (("activity", activity), ("noise", std)):
        if values is not None:
            found += flagged(
                _far(values),
                f"{name}-far-off",
                "warning",
                f"rows have an {name} that lies {FAR:g} times the range of all others from them".replace(
                    "an noise", "a noise"
                ),
                where=dataset.name,
                example=functools.partial(_row, dataset, values),
                advice="leave the rows out, if it stands for a missing value",
            )
    return found


def _row(dataset: Dataset, values: NDArray[np.float32], place: int) -> str:
    return f"{dataset.places.one(place)}: {values[place]:g}"


def _far(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which values, (n,), are the least or the largest, and lie FAR times the range of the others from these."""
    distinct = np.unique(values).astype(np.float64)
    far = np.zeros(len(values), bool)
    if len(distinct) < 4:
        return far
    for end, next_, rest in ((0, 1, distinct[1:]), (-1, -2, distinct[:-1])):
        if abs(distinct[end] - distinct[next_]) > FAR * (rest[-1] - rest[0]):
            far |= values == np.float32(distinct[end])
    return far
