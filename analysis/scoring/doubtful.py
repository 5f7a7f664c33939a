"""What looks like predictions, but means something else: other scales, lost signs, and copies of what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nrtune.analysis.uncertainty.bootstrap import Floats
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.findings import Finding, Severity
from nrtune.trainables.evaluation import metrics

MANY = 50
"""Variants of which something is said that a few may have by chance."""
COPIED = 0.2
"""The share of predictions equal to what was measured, of a few decimals, that chance does not come to."""
SURE = 5
"""Standard errors, about 1 / sqrt(n) of a rank correlation of 0."""
FAR = 30
"""The ratio of standard deviations that no model's scale explains, and percent do."""


def other_scale(
    path: Path, predicted: NDArray[np.floating], measured: NDArray[np.floating], what: str, severity: Severity
) -> list[Finding]:
    """What is found where (n,) predictions vary FAR times as much as what was measured, as those in percent do."""
    spread, of_measured = (
        float(np.std(values.astype(np.float64))) if len(values) else 0.0 for values in (predicted, measured)
    )
    if not 0 < FAR * of_measured <= spread:
        return []
    said = f"the {what} vary {spread / of_measured:.3g} times as much as what was measured: in percent, or not log2?"
    return [Finding(id="predictions-scale", severity=severity, what=said, where=path.name)]


def of_one_sign(path: Path, effect: Floats, measured: Floats) -> list[Finding]:
    """What is found where (n,) effects are all positive, or all negative, and those that were measured are not."""
    signs = {*np.sign(effect[effect != 0])}
    if (
        len(effect) < MANY
        or len(signs) != 1
        or np.ptp(effect) == 0
        or min((measured > 0).mean(), (measured < 0).mean()) < 1 / MANY
    ):
        return []
    said = "positive" if 1 in signs else "negative"
    what = f"all effects are {said}, and those that were measured are not: without their sign, ratios, or not Alt less Ref?"
    return [Finding(id="predictions-one-sign", severity="warning", what=what, where=path.name, count=len(effect))]


def falling(path: Path, effect: Floats, variants: VariantSet) -> list[Finding]:
    """What is found where the effects of an element, (V,), surely fall as those that were measured rise."""
    fallen = []
    for name in variants.elements:
        rows = np.concatenate([variants.rows(name, part) for part in variants.parts])
        rows = rows[np.isfinite(effect[rows])]
        rho = metrics.spearman(effect[rows], variants.value[rows]) if len(rows) >= MANY else np.nan
        if rho * np.sqrt(len(rows)) < -SURE:
            fallen.append(f"{name} ({rho:.2f})")
    if not fallen:
        return []
    what = f"effects fall as those that were measured rise, by Spearman's correlation, in {', '.join(fallen)}: Ref less Alt?"
    return [Finding(id="predictions-fall", severity="warning", what=what, where=path.name, count=len(fallen))]


def no_predictions(
    path: Path, predicted: NDArray[np.floating], measured: NDArray[np.floating], what: str
) -> list[Finding]:
    """What is found where (n,) predictions are all the same, or, from a share of COPIED on, what was measured."""
    if len(predicted) < 2:
        return []
    if (predicted == predicted[0]).all():
        id, said, advice = "predictions-constant", f"all {what} are {predicted[0]:g}, and have no correlation", ""
        count = len(predicted)
    elif ((predicted == measured) & (measured != 0)).mean() >= COPIED:
        id, said, advice = (
            "predictions-are-measured",
            f"the {what} are the measured values themselves",
            "give what a model predicts",
        )
        count = int((predicted == measured).sum())
    else:
        return []
    n = len(predicted)
    return [Finding(id=id, severity="warning", what=said, where=path.name, count=count, of=n, advice=advice)]
