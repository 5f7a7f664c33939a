"""Scoring of a trained model: predictions for every test row and variant, and every metric made from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch

from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.evaluation.predictions import Predicted as Predicted
from nrtune.trainables.evaluation.predictions import Score as Score
from nrtune.trainables.evaluation.predictions import score_predictions, variant_table
from nrtune.trainables.evaluation.predictions import variant_metrics as variant_metrics
from nrtune.trainables.models.model import Model, other_strand

PREDICT_ROWS = {"cpu": 256, "cuda": 4096}
"""Sequences a forward pass: on a CPU a larger batch falls out of the cache (256 took 0.6 of the time of 1024)."""


@torch.inference_mode()
def predict(model: Model, tokens: torch.Tensor, *, both_strands: bool = False) -> Predicted:
    """Predict for tokens (n, length) on the model's device, in evaluation mode; the model's mode is put back.

    both_strands: mean and log-variance are those of a sequence and of its reverse complement, averaged.

    Always in float32, however the model was trained: an effect is a small difference of two predictions, of which
    bf16 would leave a few hundred distinct values.
    """
    was_training, batch_rows = model.training, PREDICT_ROWS[tokens.device.type]
    model.eval()
    try:
        means, log_variances = [], []
        for start in range(0, len(tokens), batch_rows):
            batch = tokens[start : start + batch_rows]
            strands = [model(batch), model(other_strand(batch))] if both_strands else [model(batch)]
            means.append(_average([strand.mean for strand in strands]))
            if strands[0].log_variance is not None:
                log_variances.append(_average([strand.predicted_log_variance for strand in strands]))
    finally:
        model.train(was_training)
    mean = torch.cat(means).cpu().numpy() if means else np.empty(0, np.float32)
    return Predicted(mean, torch.cat(log_variances).cpu().numpy() if log_variances else None)


def _average(of_strands: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean over strands; of one, itself."""
    return of_strands[0] if len(of_strands) == 1 else (of_strands[0] + of_strands[1]) / 2


def score(
    model: Model,
    dataset: Dataset,
    tokens: torch.Tensor,
    benchmarks: Iterable[VariantSet] = (),
    *,
    both_strands: bool = False,
) -> Score:
    """Score a model on validation, test and the variants of benchmarks.

    `tokens` are the data set's (N, length), on the model's device. The metrics are those of `score_predictions`.
    both_strands: as in `predict`, of the calibration's predictions too.
    """
    rows = {split: torch.from_numpy(dataset.rows(split)).to(tokens.device) for split in ("val", "test")}
    of_split = {split: predict(model, tokens[of], both_strands=both_strands) for split, of in rows.items()}
    effects = [
        (variants, variant_effects(model, variants, tokens.device, both_strands=both_strands))
        for variants in benchmarks
    ]
    return score_predictions(dataset, of_split, effects)


def variant_effects(
    model: Model, variants: VariantSet, device: torch.device, *, both_strands: bool = False
) -> pd.DataFrame:
    """The variants' table with ref_prediction, alt_prediction and variant_effect.

    Each distinct window is predicted once, or once a strand.
    """
    windows = torch.tensor(variants.windows, device=device)
    return variant_table(variants, predict(model, windows, both_strands=both_strands).mean)
