"""Whether what is called noise was measured."""

from __future__ import annotations

import numpy as np

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.orientation import orientation_pairs

MANY = 0.1
"""The share of rows from which on zeros are not a coincidence, and of pairs from which on equal values are none."""


def audit_noise(dataset: Dataset) -> list[Finding]:
    """What makes noise, or the values that it is of, something else than measurements of their own."""
    std, found = dataset.aleatoric_std, []
    if std is not None:
        zero = std == 0
        if zero.mean() >= MANY:
            found.append(
                Finding(
                    id="noise-zero-in-many",
                    severity="warning",
                    what="rows have noise 0, which methods that weigh by it take for certainty",
                    count=int(zero.sum()),
                    of=len(std),
                    example=f"row {int(zero.argmax()) + 1}",
                    advice="leave the noise out where it was not measured, or those rows",
                )
            )
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


def _equal_pairs(dataset: Dataset) -> list[Finding]:
    partner = orientation_pairs(dataset.tokens).partner
    first = np.flatnonzero(partner > np.arange(len(partner)))
    equal = dataset.activity[first] == dataset.activity[partner[first]]
    if not len(first) or equal.mean() < MANY:
        return []
    row = int(first[equal.argmax()])
    return [
        Finding(
            id="computed-copies",
            severity="warning",
            what="orientation pairs have one activity in both: computed copies, not measurements",
            count=int(equal.sum()),
            of=len(first),
            example=f"rows {row + 1} and {int(partner[row]) + 1}",
            advice="leave the copies out: a model is shown both strands as it is",
        )
    ]
