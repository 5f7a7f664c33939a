"""What each row does to a statistic: its influence function, of which a statistic's error is to first order the mean.

Hampel 1974, doi:10.1080/01621459.1974.10482962; of Spearman's correlation Croux and Dehon 2010, doi:10.1007/s10260-010-0142-z.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrtune.analysis.uncertainty.bootstrap import Floats
from nrtune.trainables.evaluation.metrics import ranks


def spearman_influence(predictions: Floats, value: Floats) -> Floats:
    """Of Spearman's correlation of each prediction (P, n) with value (n,): (P, n), each row of mean 0; 0 for a constant."""
    n = len(value)
    x, y = (ranks(predictions.T).T - 0.5) / n - 0.5, (ranks(value) - 0.5) / n - 0.5
    y = np.broadcast_to(y, x.shape)
    # A row moves the ranks of all that lie above it as well.
    found = 12 * (x * y + _mean_above(x, y) + _mean_above(y, x))
    return _centred(np.where(_varies(predictions), found, 0.0))


def pearson_influence(predictions: Floats, value: Floats) -> Floats:
    """Of Pearson's correlation, as `spearman_influence`."""
    x, y = (_centred(np.atleast_2d(of)) for of in (predictions, value))
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = x / x.std(axis=1, keepdims=True), y / y.std(axis=1, keepdims=True)
        correlation = (x * y).mean(axis=1, keepdims=True)
        found = x * y - correlation / 2 * (x**2 + y**2)
    influence: Floats = np.where(_varies(predictions) & np.isfinite(found), found, 0.0)
    return influence


def _mean_above(x: Floats, y: Floats) -> Floats:
    """For each row the sum of y over rows whose x is as large or larger, divided by the number of all, (P, n)."""
    order = np.argsort(x, axis=1, kind="stable")
    above = np.cumsum(np.take_along_axis(y, order, axis=1)[:, ::-1], axis=1)[:, ::-1] / x.shape[1]
    found: Floats = np.empty_like(above)
    np.put_along_axis(found, order, above, axis=1)
    return found


def _centred(x: Floats) -> Floats:
    centred: Floats = x - x.mean(axis=1, keepdims=True)
    return centred


def _varies(predictions: Floats) -> NDArray[np.bool_]:
    varies: NDArray[np.bool_] = predictions.min(axis=1, keepdims=True) < predictions.max(axis=1, keepdims=True)
    return varies
