"""Metrics of a trial, in NumPy and pandas alone. A correlation that is undefined (a constant, too few rows) is NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from nrtune.trainables.data.loci import locus_weights

MIN_STRATUM = 11
"""A stratum of 10 variants or fewer is NaN."""

QUINTILE = 0.2


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson correlation; NaN below two rows, for a constant, and where a value is not finite."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    if x.min() == x.max() or y.min() == y.max():
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    return float(np.clip(float(x @ y) / scale, -1, 1)) if scale > 0 else math.nan


def ranks(values: ArrayLike, method: Literal["average", "min"] = "average") -> NDArray[np.float64]:
    """Rank (n,) or each column of (n, m) from 1; ties get their mean rank, or the least. SciPy's takes 0.5 s to import."""
    array = np.asarray(values)
    frame = pd.Series(array) if array.ndim == 1 else pd.DataFrame(array)
    return np.asarray(frame.rank(method=method), np.float64)


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman correlation with average ranks for ties; NaN where `pearson` is."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    return pearson(ranks(x), ranks(y))


def in_distribution(mean: NDArray[np.floating], activity: NDArray[np.floating]) -> dict[str, float]:
    """pearson, spearman and mse of n predictions."""
    error = np.asarray(mean, np.float64) - activity
    return {
        "pearson": pearson(mean, activity),
        "spearman": spearman(mean, activity),
        "mse": float(np.mean(error**2)) if len(error) else math.nan,
    }


def noise_metrics(
    mean: NDArray[np.floating],
    activity: NDArray[np.floating],
    aleatoric_std: NDArray[np.floating],
    *,
    calibration: tuple[float, float],
    log_variance: NDArray[np.floating] | None = None,
) -> dict[str, float]:
    """How a model's errors follow the measured noise.

    `corr` = Pearson(|μ − y|, s); `corr_calibrated` the same after μ → slope · μ + intercept (`calibration`, from
    `affine_fit` on validation); `corr_constant` that of a constant predictor, the mean activity; `low_noise_spearman`
    and `high_noise_spearman` over the lowest and highest quintile of s, `gap` their difference; with a log-variance,
    `variance_spearman` = Spearman(exp ℓ, s²).
    """
    slope, intercept = calibration
    low_edge, high_edge = np.quantile(aleatoric_std, [QUINTILE, 1 - QUINTILE])
    low, high = aleatoric_std <= low_edge, aleatoric_std >= high_edge
    calibrated = slope * np.asarray(mean, np.float64) + intercept
    found = {
        "corr": pearson(np.abs(np.asarray(mean, np.float64) - activity), aleatoric_std),
        "corr_calibrated": pearson(np.abs(calibrated - activity), aleatoric_std),
        "corr_constant": pearson(np.abs(activity - np.mean(activity, dtype=np.float64)), aleatoric_std),
        "low_noise_spearman": spearman(mean[low], activity[low]),
        "high_noise_spearman": spearman(mean[high], activity[high]),
    }
    found["gap"] = found["low_noise_spearman"] - found["high_noise_spearman"]
    if log_variance is not None:
        # exp and square are monotone, so the ranks of ℓ and s are those of exp ℓ and s².
        found["variance_spearman"] = spearman(log_variance, aleatoric_std)
    return found


def affine_fit(mean: NDArray[np.floating], activity: NDArray[np.floating]) -> tuple[float, float]:
    """Least-squares (slope, intercept) of activity on mean; slope 0 for a constant mean."""
    x, y = np.asarray(mean, np.float64), np.asarray(activity, np.float64)
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ (y - y.mean())) / spread if x.min() < x.max() and spread > 0 else 0.0
    return slope, float(y.mean() - slope * x.mean())


def stratified_metrics(
    variant_effect: NDArray[np.floating], value: NDArray[np.floating], strata: Mapping[str, NDArray[np.bool_]]
) -> dict[str, float]:
    """`spearman/S`, `pearson/S` and `n/S` of one element's (n,) effects over strata S, each the (n,) rows that it holds."""
    found: dict[str, float] = {}
    for stratum, rows in strata.items():
        enough = int(rows.sum()) >= MIN_STRATUM
        found[f"spearman/{stratum}"] = spearman(variant_effect[rows], value[rows]) if enough else math.nan
        found[f"pearson/{stratum}"] = pearson(variant_effect[rows], value[rows]) if enough else math.nan
        found[f"n/{stratum}"] = float(rows.sum())
    return found


def mean_over_elements(
    of_element: Mapping[str, Mapping[str, float]],
    matched: Sequence[str],
    strata: Sequence[str],
    loci: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Mean of each correlation over the matched elements, and `hc_lc_gap`: HC less LC mean Spearman.

    loci: the locus of each element; loci weigh the same, and the elements of one share its weight. A stratum with too few
    variants is left out, for every model alike; a correlation that is undefined for another reason, such as that of constant
    predictions, counts as 0. NaN where no element has enough variants, and a gap also where no correlation of a stratum is
    defined: predicting nothing leaves no gap.
    """
    found: dict[str, float] = {}
    defined_in = set()
    for stratum in strata:
        enough = [e for e in matched if e in of_element and of_element[e][f"n/{stratum}"] >= MIN_STRATUM]
        weights = locus_weights(enough, loci or {})
        for kind in ("spearman", "pearson"):
            values = {e: of_element[e][f"{kind}/{stratum}"] for e in enough}
            defined = [weights[e] * value for e, value in values.items() if not math.isnan(value)]
            found[f"{kind}/{stratum}/mean"] = math.fsum(defined) if enough else math.nan
            if defined:
                defined_in.add(f"{kind}/{stratum}")
    if {"hc", "lc"} <= set(strata):
        gap = found["spearman/hc/mean"] - found["spearman/lc/mean"]
        found["hc_lc_gap"] = gap if {"spearman/hc", "spearman/lc"} <= defined_in else math.nan
    return found
