"""Non-neural baselines: what a model must beat to have learned anything. NumPy and SciPy alone, seconds on a CPU.

Each is fitted to a data set's training rows, and has no seed: the same data give the same numbers.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement
from nrtune.trainables.evaluation.metrics import spearman
from nrtune.trainables.evaluation.predictions import Predicted, Score, score_predictions, variant_table

K = 6
CANONICAL_KMERS = 2080
"""6-mers when one and its reverse complement are the same: (4⁶ + 4³) / 2, as 4³ are their own."""

PENALTIES = tuple(float(penalty) for penalty in np.logspace(-2, 1, 7))
"""What validation chooses from; added to the correlation matrix of the counts, whatever the number of rows."""

CHUNK_ROWS = 512
"""Sequences counted at a time, in 4 MB of float32. The sums of their counts' products, integers that hardly pass 2²⁴,
are exact in it, in whatever order a machine adds them up."""

Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Predicts (n,) log2(RNA/DNA) from tokens (n, length)."""


def constant(dataset: Dataset) -> Predictor:
    """Predict the mean training activity for every sequence."""
    mean = dataset.activity[dataset.rows("train")].mean(dtype=np.float64)
    return lambda tokens: np.full(len(tokens), mean, np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KmerRidge:
    """A linear model of canonical 6-mer counts: both strands of a sequence are predicted bitwise alike.

    weights: (2080,) log2(RNA/DNA) a count. intercept: log2(RNA/DNA). penalty: the one of PENALTIES that was chosen.
    """

    weights: NDArray[np.float64]
    intercept: float
    penalty: float

    def __call__(self, tokens: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predict (n,) log2(RNA/DNA) from tokens (n, length)."""
        mean = np.empty(len(tokens), np.float32)
        for rows, counts in _count_chunks(tokens):
            # Not a matrix product, whose order of summation may depend on the row's place in the chunk.
            mean[rows] = (counts * self.weights).sum(axis=1) + self.intercept
        return mean


def kmer_ridge(dataset: Dataset) -> KmerRidge:
    """Ridge regression of training activity on standardised counts of canonical 6-mers; the intercept is not penalised.

    The penalty has the highest validation Spearman, the larger one of equals. A sequence without a 6-mer, too short or
    full of N, gets the intercept.
    """
    train, val = dataset.rows("train"), dataset.rows("val")
    activity = dataset.activity[train].astype(np.float64)
    solve = _solve_dual if len(train) < CANONICAL_KMERS else _solve_primal
    mean, weights = solve(dataset.tokens[train], activity - activity.mean())
    of_val = np.concatenate([counts @ weights.T for _, counts in _count_chunks(dataset.tokens[val])])
    scores = [spearman(predicted, dataset.activity[val]) for predicted in of_val.T]
    best = max(range(len(PENALTIES)), key=lambda number: (np.nan_to_num(scores[number], nan=-2), number))
    intercept = float(activity.mean() - mean @ weights[best])
    return KmerRidge(weights=weights[best], intercept=intercept, penalty=PENALTIES[best])


REFERENCES: Mapping[str, Callable[[Dataset], Predictor]] = MappingProxyType(
    {"constant": constant, "kmer_ridge": kmer_ridge}
)
"""Non-neural baselines by name: each fits a data set's training rows and gives what predicts other sequences."""


def score_reference(name: str, dataset: Dataset, benchmarks: Iterable[VariantSet] = ()) -> Score:
    """Fit a non-neural baseline of REFERENCES and score it on validation, test and benchmarks as a trial is."""
    predict = REFERENCES[name](dataset)
    of_split = {split: Predicted(predict(dataset.tokens[dataset.rows(split)]), None) for split in ("val", "test")}
    effects = [(variants, variant_table(variants, predict(variants.windows))) for variants in benchmarks]
    return score_predictions(dataset, of_split, effects)


def count_kmers(tokens: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Count canonical 6-mers of tokens (n, length): (n, 2080), in the alphabetical order of `canonical_kmers`.

    A 6-mer that holds N does not count; one that is its own reverse complement counts once a place.
    """
    n, places = len(tokens), max(tokens.shape[1] - K + 1, 0)
    feature = _feature_of_code()
    code = np.zeros((n, places), np.int64)
    known = np.ones((n, places), bool)
    for offset in range(K):
        base = tokens[:, offset : offset + places]
        code = 4 * code + base
        known &= base != N_TOKEN
    where = feature[code * known] + CANONICAL_KMERS * np.arange(n)[:, None]
    counts = np.bincount(where[known], minlength=n * CANONICAL_KMERS)
    return counts.reshape(n, CANONICAL_KMERS).astype(np.float32)


def canonical_kmers() -> NDArray[np.uint8]:
    """Tokens (2080, 6) of each 6-mer that comes before its reverse complement, or is it, in alphabetical order."""
    kmers = _all_kmers()
    return kmers[_code(kmers) <= _code(reverse_complement(kmers))]


def _count_chunks(tokens: NDArray[np.uint8]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Counts (n, 2080) of n rows at a time, and which they are."""
    for start in range(0, len(tokens), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        yield rows, count_kmers(tokens[rows])


@functools.cache
def _feature_of_code() -> NDArray[np.int64]:
    """The row in `canonical_kmers` (4096,) of each 6-mer, by its code."""
    kmers = _all_kmers()
    canonical = np.minimum(_code(kmers), _code(reverse_complement(kmers)))
    return np.unique(canonical, return_inverse=True)[1]


def _all_kmers() -> NDArray[np.uint8]:
    """Tokens (4096, 6) of all 6-mers, by their code."""
    return np.indices((4,) * K, np.uint8).reshape(K, -1).T


def _code(kmers: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Each 6-mer (n, 6) as a number: A C G T are the digits 0 to 3, the first base the highest."""
    return kmers.astype(np.int64) @ 4 ** np.arange(K)[::-1]


def _solve_primal(
    tokens: NDArray[np.uint8], centred: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean counts (2080,) and weights (penalties, 2080) of centred activity (n,), from equations in the 6-mers."""
    gram = np.zeros((CANONICAL_KMERS, CANONICAL_KMERS))
    total, moment = np.zeros(CANONICAL_KMERS), np.zeros(CANONICAL_KMERS)
    for rows, counts in _count_chunks(tokens):
        gram += counts.T @ counts
        total += counts.sum(axis=0, dtype=np.float64)
        moment += centred[rows] @ counts
    mean = total / len(tokens)
    covariance = gram / len(tokens) - np.outer(mean, mean)
    std = _std(covariance.diagonal())
    return mean, _solve(covariance / np.outer(std, std), moment / len(tokens) / std) / std


def _solve_dual(
    tokens: NDArray[np.uint8], centred: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same from equations in the rows: faster where they are fewer than the 6-mers."""
    counts = count_kmers(tokens).astype(np.float64)
    mean = counts.mean(axis=0)
    std = _std(counts.var(axis=0))
    standardised = (counts - mean) / std
    return mean, _solve(standardised @ standardised.T / len(tokens), centred / len(tokens)) @ standardised / std


def _std(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviations; 1 for a 6-mer that every row has alike, whose weight is 0."""
    return np.sqrt(np.where(variance > 0, variance, 1))


def _solve(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve (matrix + penalty · 1) x = right for every penalty: (penalties, m)."""
    found = np.empty((len(PENALTIES), len(right)))
    for number, penalty in enumerate(PENALTIES):
        penalised = matrix.copy(order="F")
        np.fill_diagonal(penalised, matrix.diagonal() + penalty)
        factor = linalg.cho_factor(penalised, overwrite_a=True, check_finite=False)
        found[number] = linalg.cho_solve(factor, right, check_finite=False)
    return found
