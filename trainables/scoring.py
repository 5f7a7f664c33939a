"""Scoring of a trained model: predictions for every test row and variant, and every metric made from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from trainables import metrics
from trainables.data.cagi5 import PARTS, Variants
from trainables.data.dataset import Dataset
from trainables.model import Model

PREDICT_ROWS = {"cpu": 256, "cuda": 4096}
"""Sequences a forward pass: on a CPU a larger batch falls out of the cache (256 took 0.6 of the time of 1024)."""


class Predicted(NamedTuple):
    """Predictions for n sequences: mean (n,) in log2(RNA/DNA); log_variance (n,), None for a point head."""

    mean: NDArray[np.float32]
    log_variance: NDArray[np.float32] | None


class Score(NamedTuple):
    """Metrics by name; one row a test sequence; one row a variant (None without variants)."""

    metrics: dict[str, float]
    test: pd.DataFrame
    variants: pd.DataFrame | None


@torch.inference_mode()
def predict(model: Model, tokens: torch.Tensor) -> Predicted:
    """Predict for tokens (n, length) on the model's device, in evaluation mode; the model's mode is put back.

    Always in float32, however the model was trained: an effect is a small difference of two predictions, of which
    bf16 would leave a few hundred distinct values.
    """
    was_training, batch_rows = model.training, PREDICT_ROWS[tokens.device.type]
    model.eval()
    try:
        means, log_variances = [], []
        for start in range(0, len(tokens), batch_rows):
            prediction = model(tokens[start : start + batch_rows])
            means.append(prediction.mean)
            if prediction.log_variance is not None:
                log_variances.append(prediction.log_variance)
    finally:
        model.train(was_training)
    mean = torch.cat(means).cpu().numpy() if means else np.empty(0, np.float32)
    return Predicted(mean, torch.cat(log_variances).cpu().numpy() if log_variances else None)


def score(model: Model, dataset: Dataset, tokens: torch.Tensor, variants: Variants | None) -> Score:
    """Score a model on validation, test and CAGI5. `tokens` are the data set's (N, length), on the model's device.

    Names: val/…, test/…, noise/… (test), val/noise/…, cagi5/PART/KIND/STRATUM/ELEMENT or /mean, cagi5/PART/hc_lc_gap;
    for simulated data also test/noise_free_pearson and test/noise_free_spearman.
    """
    rows = {split: dataset.rows(split) for split in ("val", "test")}
    of_split = {s: predict(model, tokens[torch.from_numpy(rows[s]).to(tokens.device)]) for s in ("val", "test")}
    found: dict[str, float] = {}
    calibration = metrics.affine_fit(of_split["val"].mean, dataset.activity[rows["val"]])
    for split, predicted in of_split.items():
        activity = dataset.activity[rows[split]]
        found |= _prefixed(split, metrics.in_distribution(predicted.mean, activity))
        if dataset.aleatoric_std is not None:
            noise = metrics.noise_metrics(
                predicted.mean,
                activity,
                dataset.aleatoric_std[rows[split]],
                calibration=calibration,
                log_variance=predicted.log_variance,
            )
            found |= _prefixed("noise" if split == "test" else f"{split}/noise", noise)
    test = of_split["test"]
    if dataset.noise_free is not None:
        truth = dataset.noise_free[rows["test"]]
        found["test/noise_free_pearson"] = metrics.pearson(test.mean, truth)
        found["test/noise_free_spearman"] = metrics.spearman(test.mean, truth)
    table = _test_table(dataset, rows["test"], test)
    if variants is None:
        return Score(found, table, None)
    effects = variant_effects(model, variants, tokens.device)
    return Score(found | variant_metrics(variants, effects["variant_effect"].to_numpy()), table, effects)


def variant_effects(model: Model, variants: Variants, device: torch.device) -> pd.DataFrame:
    """The variants' table with ref_prediction, alt_prediction and variant_effect; each distinct window predicted once."""
    predicted = predict(model, torch.tensor(variants.windows, device=device)).mean
    table = variants.table()
    table["ref_prediction"] = predicted[variants.ref_window]
    table["alt_prediction"] = predicted[variants.alt_window]
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
            found |= _prefixed(f"cagi5/{part}", metrics.mean_over_elements(of_element, variants.matched))
    return found


def _prefixed(prefix: str, found: dict[str, float]) -> dict[str, float]:
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
