"""Predictions, whatever made them, and every metric made from them. NumPy and pandas alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.files import TEST, predictions_file, write_atomically
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.evaluation import metrics
from nrtune.trainables.evaluation.calibration import Calibration
from nrtune.trainables.evaluation.stored import write_predictions


class Predicted(NamedTuple):
    """Predictions for n sequences.

    mean (n,): a model's own output, float32, or log2(RNA/DNA), float64, where it is calibrated. log_variance (n,) of the
    noise, log2(RNA/DNA) squared; None for a point head.
    """

    mean: NDArray[np.floating]
    log_variance: NDArray[np.float32] | None


class Score(NamedTuple):
    """Metrics by name, of a model's own output; its calibration; one row a test sequence; by benchmark, one row a variant."""

    metrics: dict[str, float]
    calibration: Calibration
    test: pd.DataFrame
    effects: Mapping[str, pd.DataFrame] = MappingProxyType({})

    def defined(self) -> dict[str, float]:
        """The metrics that are finite."""
        return {name: value for name, value in self.metrics.items() if math.isfinite(value)}


def score_predictions(
    dataset: Dataset,
    of_split: Mapping[str, Predicted],
    effects: Iterable[tuple[VariantSet, pd.DataFrame]] = (),
) -> Score:
    """Score predictions of the `val` and `test` rows, each in file order, and the tables of `variant_table` of variant sets.

    Names: val/…, test/…, noise/… (test), val/noise/…, those of `variant_metrics`; for simulated data also
    test/noise_free_pearson and test/noise_free_spearman. What is undefined is NaN.
    """
    rows = {split: dataset.rows(split) for split in ("val", "test")}
    found: dict[str, float] = {}
    calibration = Calibration.fit(of_split["val"].mean, dataset.activity[rows["val"]])
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
    tables = {}
    for variants, table in effects:
        found |= variant_metrics(variants, table["variant_effect"].to_numpy())
        tables[variants.benchmark] = table
    return Score(found, calibration, _test_table(dataset, rows["test"], test, calibration), tables)


def store_predictions(found: Score, folder: Path, whose: str) -> None:
    """Write a score's tables into a folder, each whole or not at all.

    whose: the fingerprint of the trial, or the non-neural baseline's name.
    """
    for of, table in {TEST: found.test, **found.effects}.items():
        write_atomically(
            folder / predictions_file(of), partial(write_predictions, table=table, of=whose), parents=False
        )


def variant_table(variants: VariantSet, of_window: NDArray[np.floating]) -> pd.DataFrame:
    """The variants' table with ref_prediction, alt_prediction and variant_effect, their difference; of_window: (W,)."""
    table = variants.table()
    table["ref_prediction"] = of_window[variants.ref_window]
    table["alt_prediction"] = of_window[variants.alt_window]
    table["variant_effect"] = table["alt_prediction"] - table["ref_prediction"]
    return table


def variant_metrics(variants: VariantSet, variant_effect: NDArray[np.floating]) -> dict[str, float]:
    """Every metric of predicted effects (V,) of a benchmark's variants.

    Names begin as `VariantSet.prefixes` say: cagi5/challenge/KIND/STRATUM/ELEMENT or /mean, and hc_lc_gap where there are
    such strata.
    """
    found: dict[str, float] = {}
    strata = variants.in_strata()
    for part, prefix in variants.prefixes.items():
        of_element: dict[str, dict[str, float]] = {}
        for element in variants.elements:
            rows = variants.rows(element, part)
            if not len(rows):
                continue
            of_rows = {name: members[rows] for name, members in strata.items()}
            one = metrics.stratified_metrics(variant_effect[rows], variants.value[rows], of_rows)
            of_element[element] = one
            found |= {f"{prefix}/{name}/{element}": value for name, value in one.items()}
        if of_element:
            found |= prefixed(
                prefix, metrics.mean_over_elements(of_element, variants.matched, tuple(strata), variants.loci)
            )
    return found


def prefixed(prefix: str, found: dict[str, float]) -> dict[str, float]:
    """Metrics under names that begin with `prefix/`."""
    return {f"{prefix}/{name}": value for name, value in found.items()}


def _test_table(
    dataset: Dataset, rows: NDArray[np.int64], predicted: Predicted, calibration: Calibration
) -> pd.DataFrame:
    """A row a test sequence; what is unknown is left out.

    row (index in the data set), cluster, activity, prediction (the model's own output), calibrated_prediction (log2(RNA/DNA)),
    aleatoric_std, log_variance, noise_free.
    """
    columns: dict[str, NDArray[np.generic]] = {
        "row": rows,
        "activity": dataset.activity[rows],
        "prediction": predicted.mean,
        "calibrated_prediction": calibration.apply(predicted.mean),
    }
    if dataset.cluster is not None:
        columns["cluster"] = dataset.cluster[rows]
    if dataset.aleatoric_std is not None:
        columns["aleatoric_std"] = dataset.aleatoric_std[rows]
    if predicted.log_variance is not None:
        columns["log_variance"] = predicted.log_variance
    if dataset.noise_free is not None:
        columns["noise_free"] = dataset.noise_free[rows]
    return pd.DataFrame(columns)
