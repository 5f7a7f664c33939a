"""Whether what is called noise was measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.audit.values import FEW, are_few, filled_in, filled_in_findings, follows
from nrtune.trainables.data.computed_copies import equal_by_rounding
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.orientation import orientation_pairs

MANY = 0.1
"""The share of rows from which on zeros are not a coincidence, and of pairs from which on equal values are none."""


def audit_noise(dataset: Dataset) -> list[Finding]:
    """What makes noise, or the values that it is of, something else than measurements of their own."""
    std = dataset.aleatoric_std
    found: list[Finding] = []
    if std is not None:
        zero = std == 0
        if zero.mean() >= MANY:
            found += flagged(
                zero,
                "noise-zero-in-many",
                "warning",
                "rows have noise 0, which methods that weigh by it take for certainty",
                example=dataset.places.one,
                advice="leave the noise out where it was not measured, or those rows",
            )
        found += _of_values(dataset, std)
        spread = float(dataset.activity.std())
        if float(np.median(std)) > spread:
            found.append(
                Finding(
                    id="noise-exceeds-activity",
                    severity="warning",
                    what=f"the noise, {np.median(std):.3g} in the median, is larger than the activity's spread, {spread:.3g}",
                    advice="see that both are on one scale, log2, and that the noise is a standard deviation",
                )
            )
    return [*found, *_equal_pairs(dataset)]


def _of_values(dataset: Dataset, std: NDArray[np.float32]) -> list[Finding]:
    """What is found of noise, (N,), that its values are not those of measurements: few, filled in, or made from the activity."""
    found: list[Finding] = []
    if (few := are_few(std)) and len(np.unique(dataset.activity)) > FEW:
        found.append(
            Finding(
                id="noise-few-values",
                severity="warning",
                what=f"the noise takes only {few} values: a class, or rounded too much, not a measurement of each row",
                where=dataset.name,
                count=len(std),
                of=len(std),
                advice="give the standard deviation over replicates, or --noise none",
            )
        )
    value = filled_in(std)
    if value:  # 0 is found by itself
        advice = "leave the rows out whose noise was not measured, or give --noise none"
        found += filled_in_findings(dataset, "noise", std, value, "filled in", advice)
    if follows(std, dataset.activity):
        found.append(
            Finding(
                id="noise-follows-activity",
                severity="warning",
                what="the noise is a function of the activity: computed, not measured",
                where=dataset.name,
                count=len(std),
                of=len(std),
                advice="give the standard deviation over replicates, or --noise none",
            )
        )
    return found


def _equal_pairs(dataset: Dataset) -> list[Finding]:
    partner = orientation_pairs(dataset.tokens).partner if dataset.partner is None else dataset.partner
    first = np.flatnonzero(partner > np.arange(len(partner)))
    equal = dataset.activity[first] == dataset.activity[partner[first]]
    by_rounding = equal_by_rounding(dataset.activity, first, partner[first])
    if not len(first) or equal.mean() - by_rounding < MANY:
        return []
    return flagged(
        equal,
        "computed-copies",
        "warning",
        "orientation pairs have one activity in both: computed copies, not measurements",
        example=lambda place: dataset.places.two(first[place], partner[first[place]]),
        advice="leave the copies out: a model is shown both strands as it is",
    )
