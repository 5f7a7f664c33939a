"""Whether what is called activity, and its noise, are measurements: neither one value in all rows, nor a placeholder in some."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.audit.values import LEAST, are_few, filled_in, filled_in_findings, skew
from nrtune.trainables.data.dataset import SPLITS, Dataset
from nrtune.trainables.data.findings import Finding, flagged

FAR = 3.0
"""A value that lies so many times the range of all others from them is a placeholder, such as -999, or a slip of the pen."""

OTHER = 4.0
"""Times the training split's quartiles that medians, and times as far that quartiles, of a split of one assay never lie apart."""
LABELS = 2
"""Values that an activity never has as few of: a correlation with them is a classification."""
SKEWED, VERY_SKEWED = 1.6, 3.0
"""The skew, as of `values.skew`, of ratios around 1 whose log2 has a standard deviation of 0.4; and that of others."""


def audit_activity(dataset: Dataset) -> list[Finding]:
    """What of the activity is one value in every row, and what of it, and of the noise, lies far from all others."""
    activity, std = dataset.activity, dataset.aleatoric_std
    found = flagged(
        np.full(len(activity), activity.min() == activity.max()),
        "activity-constant",
        "error",
        f"the activity is {activity[0]:g} in every row: there is nothing to learn",
        where=dataset.name,
        example=dataset.places.one,
        advice="name the column of the measurements with --columns activity=NAME",
    )
    found += [] if found else [*_constant_in_a_split(dataset), *_of_values(dataset), *_of_splits(dataset)]
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


def _constant_in_a_split(dataset: Dataset) -> list[Finding]:
    """Splits whose activity is one value."""
    found: list[Finding] = []
    for split in SPLITS:
        rows = dataset.rows(split)
        values = dataset.activity[rows]
        found += flagged(
            np.full(len(rows), len(np.unique(values)) == 1),
            "activity-constant",
            "error",
            f"the activity is {values[0]:g} in every row: nothing is learned from it, and nothing correlates with it",
            where=split,
            example=dataset.places.at(rows).one,
            advice="see that measurements stand in all rows, or divide the data in another way",
        )
    return found


def _of_splits(dataset: Dataset) -> list[Finding]:
    """Held-out splits whose activity is not on the scale of the training split's, as of tables of two sources."""
    low, middle, high = np.quantile(dataset.activity[dataset.rows("train")], [0.25, 0.5, 0.75])
    found: list[Finding] = []
    for split in SPLITS[1:]:
        values = dataset.activity[dataset.rows(split)]
        first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
        spread, there = high - low, third - first
        if len(values) < LEAST or min(spread, there) <= 0:
            continue
        if abs(median - middle) > OTHER * spread or not 1 / OTHER <= there / spread <= OTHER:
            found.append(
                Finding(
                    id="splits-differ",
                    severity="warning",
                    what=f"the activity is {median:.3g} in the median, its quartiles {there:.3g} apart, and in train"
                    f" {middle:.3g} and {spread:.3g}: another scale, or other sequences",
                    where=split,
                    count=len(values),
                    of=len(values),
                    advice="see that all splits are log2(RNA/DNA) of one assay",
                )
            )
    return found


def _of_values(dataset: Dataset) -> list[Finding]:
    """What is found of activity whose values are not those of measurements, or not of a log scale."""
    activity = dataset.activity
    found: list[Finding] = []
    if few := are_few(activity):
        values = ", ".join(f"{value:g}" for value in np.unique(activity))
        found.append(
            Finding(
                id="activity-few-values",
                severity="error" if few <= LABELS else "warning",
                what=f"the activity takes only {few} values, {values}: labels or classes, not measurements",
                where=dataset.name,
                count=len(activity),
                of=len(activity),
                advice="name the column of log2(RNA/DNA) with --columns activity=NAME",
            )
        )
    elif (value := filled_in(activity)) is not None and not _far(activity)[activity == np.float32(value)].any():
        advice = "leave the rows out that were not measured"
        found += filled_in_findings(dataset, "activity", activity, value, "filled in or cut off", advice)
    if not few and _is_ratio(activity):
        found.append(
            Finding(
                id="activity-not-log",
                severity="warning",
                what=f"the activity is never negative, {float(np.median(activity)):.3g} in the median, and its upper tail"
                f" {skew(activity.astype(np.float64)):.1f} times the lower one: ratios or counts, not their log2",
                where=dataset.name,
                count=len(activity),
                of=len(activity),
                advice="give log2(RNA/DNA)",
            )
        )
    return found


def _is_ratio(activity: NDArray[np.float32]) -> bool:
    """Whether values are never negative, and as skewed as what becomes symmetric once its logarithm is taken."""
    if len(activity) < LEAST or activity.min() < 0:
        return False
    positive = activity[activity > 0].astype(np.float64)
    if len(positive) < LEAST:
        return False
    raw, log = skew(positive), skew(np.log2(positive))
    left = abs(np.log(log)) / np.log(raw) if raw >= SKEWED else np.inf  # of the skew
    return bool((left < 1 and raw >= VERY_SKEWED) or (left < 1 / 3 and 0.5 <= np.median(positive) <= 2))


def _row(dataset: Dataset, values: NDArray[np.float32], place: int) -> str:
    return f"{dataset.places.one(place)}: {values[place]:g}"


def _far(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which values, (n,), are the least or the largest, and lie FAR times the range of the others from these."""
    distinct = np.unique(values).astype(np.float64)
    far = np.zeros(len(values), bool)
    if len(distinct) < 4:
        return far
    for end, next_ in ((0, 1), (-1, -2)):  # of the others neither end counts: -999 and 999 would hide each other
        if abs(distinct[end] - distinct[next_]) > FAR * (distinct[-2] - distinct[1]):
            far |= values == np.float32(distinct[end])
    return far
