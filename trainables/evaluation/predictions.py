"""Predictions, whatever made them, and every metric made from them. NumPy and pandas alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.files import PREDICTIONS, write_atomically
from nrtune.trainables.data.benchmarks.cagi5 import PARTS, Variants
from nrtune.trainables.data.benchmarks.satmut import SaturationVariants
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.evaluation import metrics


class Predicted(NamedTuple):
    """Predictions for n sequences: mean (n,) in log2(RNA/DNA); log_variance (n,), None for a point head."""

    mean: NDArray[np.float32]
    log_variance: NDArray[np.float32] | None


class Score(NamedTuple):
    """Metrics by name; one row a test sequence; one row a variant of CAGI5, and of the study's table, where there are any."""

    metrics: dict[str, float]
    test: pd.DataFrame
    variants: pd.DataFrame | None = None
    satmut: pd.DataFrame | None = None

    def defined(self) -> dict[str, float]:
        """The metrics that are finite."""
        return {name: value for name, value in self.metrics.items() if math.isfinite(value)}


def score_predictions(
    dataset: Dataset,
    of_split: Mapping[str, Predicted],
    variants: Variants | None = None,
    effects: pd.DataFrame | None = None,
) -> Score:
    """Score predictions of the `val` and `test` rows, each in file order, and the variants' table of `variant_table`.

    Names: val/…, test/…, noise/… (test), val/noise/…, cagi5/PART/KIND/STRATUM/ELEMENT or /mean, cagi5/PART/hc_lc_gap;
    for simulated data also test/noise_free_pearson and test/noise_free_spearman. What is undefined is NaN.
    """
    rows = {split: dataset.rows(split) for split in ("val", "test")}
    found: dict[str, float] = {}
    calibration = metrics.affine_fit(of_split["val"].mean, dataset.activity[rows["val"]])
    for split, predicted in of_split.items():
        activity = dataset.activity[rows[split]]
        found |= prefixed(split, metrics.in_distribution(predicted.mean, activity))
        if dataset.aleatoric_std is not None:
            noise = metrics.noise_metrics(
                predicted.mean,
                activity,
                dataset.aleatoric_std[rows[split]],
                calibration=calibration,
                log_variance=predicted.log_variance,
            )
            found |= prefixed("noise" if split == "test" else f"{split}/noise", noise)
    test = of_split["test"]
    if dataset.noise_free is not None:
        truth = dataset.noise_free[rows["test"]]
        found["test/noise_free_pearson"] = metrics.pearson(test.mean, truth)
        found["test/noise_free_spearman"] = metrics.spearman(test.mean, truth)
    table = _test_table(dataset, rows["test"], test)
    if variants is None or effects is None:
        return Score(found, table)
    return Score(found | variant_metrics(variants, effects["variant_effect"].to_numpy()), table, effects)


def store_predictions(found: Score, folder: Path) -> None:
    """Write a score's tables into a folder, each whole or not at all."""
    for name, table in zip(PREDICTIONS, (found.test, found.variants, found.satmut), strict=True):
        if table is not None:
            write_atomically(folder / name, partial(table.to_parquet, index=False))


def variant_table(
    variants: Variants | SaturationVariants, ref_prediction: NDArray[np.floating], alt_prediction: NDArray[np.floating]
) -> pd.DataFrame:
    """The variants' table with ref_prediction, alt_prediction (V,) and variant_effect, their difference."""
    table = variants.table()
    table["ref_prediction"] = ref_prediction
    table["alt_prediction"] = alt_prediction
    table["variant_effect"] = table["alt_prediction"] - table["ref_prediction"]
    return table


def variant_metrics(variants: Variants, variant_effect: NDArray[np.floating]) -> dict[str, float]:
    """Every CAGI5 metric of predicted effects (V,), by its full name."""
    found: dict[str, float] = {}
    for part in PARTS:
        of_element: dict[str, dict[str, float]] = {}
        for element in variants.elements:
            rows = variants.rows(element, part)
            if not len(rows):
                continue
            one = metrics.element_metrics(variant_effect[rows], variants.value[rows], variants.confidence[rows])
            of_element[element] = one
            found |= {f"cagi5/{part}/{name}/{element}": value for name, value in one.items()}
        if of_element:
            found |= prefixed(f"cagi5/{part}", metrics.mean_over_elements(of_element, variants.matched))
    return found


def satmut_metrics(variants: SaturationVariants, variant_effect: NDArray[np.floating]) -> dict[str, float]:
    """Every metric of predicted effects (V,) on the study's own table: satmut/KIND/STRATUM/ELEMENT or /mean, satmut/hc_lc_gap."""
    of_element = {}
    for element in variants.elements:
        rows = variants.rows(element)
        of_element[element] = metrics.stratified_metrics(
            variant_effect[rows], variants.value[rows], variants.significant[rows]
        )
    found = {f"satmut/{name}/{e}": value for e, one in of_element.items() for name, value in one.items()}
    return found | prefixed("satmut", metrics.mean_over_elements(of_element, variants.matched))


def effect_metrics(variants: Variants | SaturationVariants, variant_effect: NDArray[np.floating]) -> dict[str, float]:
    """Every metric of predicted effects (V,) on CAGI5's variants, or on the study's own table."""
    if isinstance(variants, Variants):
        return variant_metrics(variants, variant_effect)
    return satmut_metrics(variants, variant_effect)


def prefixed(prefix: str, found: dict[str, float]) -> dict[str, float]:
    """Metrics under names that begin with `prefix/`."""
    return {f"{prefix}/{name}": value for name, value in found.items()}


def _test_table(dataset: Dataset, rows: NDArray[np.int64], predicted: Predicted) -> pd.DataFrame:
    """row (index in the data set), activity, aleatoric_std, prediction, log_variance; what is unknown is left out."""
    columns: dict[str, NDArray[np.generic]] = {
        "row": rows,
        "activity": dataset.activity[rows],
        "prediction": predicted.mean,
    }
    if dataset.aleatoric_std is not None:
        columns["aleatoric_std"] = dataset.aleatoric_std[rows]
    if predicted.log_variance is not None:
        columns["log_variance"] = predicted.log_variance
    if dataset.noise_free is not None:
        columns["noise_free"] = dataset.noise_free[rows]
    return pd.DataFrame(columns)
