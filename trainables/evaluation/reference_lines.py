"""Non-neural baselines: what a model must beat to have learned anything. NumPy and SciPy alone, seconds on a CPU.

Each is fitted to a data set's training rows, and has no seed: the same data give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.evaluation.predictions import Predicted, Score, score_predictions, variant_table
from nrtune.trainables.evaluation.spectrum_ridge import spectrum_ridge

Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Predicts (n,) log2(RNA/DNA) from tokens (n, length)."""


def constant(dataset: Dataset) -> Predictor:
    """Predict the mean training activity for every sequence."""
    mean = dataset.activity[dataset.rows("train")].mean(dtype=np.float64)
    return lambda tokens: np.full(len(tokens), mean, np.float32)


REFERENCES: Mapping[str, Callable[[Dataset], Predictor]] = MappingProxyType(
    {"constant": constant, "spectrum_ridge": spectrum_ridge}
)
"""Non-neural baselines by name: each fits a data set's training rows and gives what predicts other sequences.

A name stands for its numbers: campaigns of before keep `kmer_ridge`, on standardised counts of 6-mers, and get the new one
beside it when they go on.
"""


def score_reference(name: str, dataset: Dataset, benchmarks: Iterable[VariantSet] = ()) -> Score:
    """Fit a non-neural baseline of REFERENCES and score it on validation, test and benchmarks as a trial is."""
    predict = REFERENCES[name](dataset)
    of_split = {split: Predicted(predict(dataset.tokens[dataset.rows(split)]), None) for split in ("val", "test")}
    effects = [(variants, variant_table(variants, predict(variants.windows))) for variants in benchmarks]
    return score_predictions(dataset, of_split, effects)
