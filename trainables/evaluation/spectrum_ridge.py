"""The better non-neural baseline: ridge regression on how often each k-mer is in a sequence."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.orientation import orientation_pairs
from nrtune.trainables.evaluation.kmers import count_kmers
from nrtune.trainables.evaluation.metrics import spearman
from nrtune.trainables.evaluation.ridge import Linear, Rows, ridge_path

LENGTHS = ((4,), (5,), (6,), (7,), (6, 7))
"""Of the k-mers, what validation chooses from: one k, or two together, which measured better than either (docs/LOG.md)."""

PENALTIES = tuple(float(penalty) for penalty in np.logspace(6, 0, 13))
"""What validation chooses from: the variance of a measurement over that of a k-mer's effect, whatever the number of rows."""

_WORSE = 2
"""Penalties in a row, each worse by validation than an earlier one, after which no smaller one is tried: those take longest."""

CHUNK_ROWS = 4096
"""Sequences counted at a time: 25 MB of counts at 230 bases, whatever the number of sequences."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectrumRidge:
    """A linear model of counts of canonical k-mers: both strands of a sequence are predicted bitwise alike.

    lengths: of the k-mers. weights: (features,) log2(RNA/DNA) a count, in the order of `count_kmers`. intercept: log2(RNA/DNA).
    penalty: the one of PENALTIES that was chosen. val_spearman: by which it was chosen; -2 where it is undefined.
    """

    lengths: tuple[int, ...]
    weights: NDArray[np.float64]
    intercept: float
    penalty: float
    val_spearman: float

    def __call__(self, tokens: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predict (n,) log2(RNA/DNA) from tokens (n, length)."""
        products = [counts @ self.weights for counts in _count_parts(tokens, self.lengths)]
        found: NDArray[np.float32] = (np.concatenate(products) + self.intercept).astype(np.float32)
        return found


def spectrum_ridge(dataset: Dataset) -> SpectrumRidge:
    """Ridge regression of training activity on counts of canonical k-mers, the spectrum of a sequence.

    Counts are taken as they are; the intercept is not penalised. The two orientations of an element are one row, their mean,
    that counts twice. Of LENGTHS and PENALTIES those of the highest validation Spearman are taken, of equals the fewest k-mers
    and the largest penalty. A sequence without a k-mer, too short or full of N, gets the intercept.

    Source: the spectrum kernel, Leslie, Eskin and Noble 2002, Pac. Symp. Biocomput., 564–575.
    """
    train, val = dataset.rows("train"), dataset.rows("val")
    tokens, elements = dataset.tokens[train], _Elements(dataset.tokens[train])
    activity = elements.means(dataset.activity[train].astype(np.float64))
    found = [
        _by_validation(
            ridge_path(Rows(elements.counts(tokens, lengths), elements.size), activity, PENALTIES),
            lengths,
            dataset.tokens[val],
            dataset.activity[val],
        )
        for lengths in LENGTHS
    ]
    return max(found, key=lambda ridge: ridge.val_spearman)


def _by_validation(
    path: Iterable[Linear], lengths: tuple[int, ...], tokens: NDArray[np.uint8], activity: NDArray[np.float32]
) -> SpectrumRidge:
    """The model of a path, from large penalties to small, that ranks validation sequences best."""
    parts = list(_count_parts(tokens, lengths))
    best, worse = None, 0
    for linear in path:
        ranked = spearman(np.concatenate([counts @ linear.weights for counts in parts]), activity)
        score = -2.0 if math.isnan(ranked) else ranked
        if best is None or score > best.val_spearman:
            best = SpectrumRidge(
                lengths=lengths,
                weights=linear.weights,
                intercept=linear.intercept,
                penalty=linear.penalty,
                val_spearman=score,
            )
        worse = worse + 1 if score < best.val_spearman else 0
        if worse == _WORSE:
            break
    assert best is not None
    return best


class _Elements:
    """Sequences (n, length) whose two orientations are one element; of all others each is one. size: (elements,), 2 or 1."""

    def __init__(self, tokens: NDArray[np.uint8]) -> None:
        partner = orientation_pairs(tokens).partner
        rows = np.arange(len(tokens))
        element = np.unique(np.minimum(rows, np.where(partner < 0, rows, partner)), return_inverse=True)[1]
        self._order = np.argsort(element, kind="stable")
        size = np.bincount(element)
        self._first = np.concatenate([[0], np.cumsum(size)])
        self.size: NDArray[np.float64] = size.astype(np.float64)

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean (elements,) of each element's values (n,)."""
        found: NDArray[np.float64] = np.add.reduceat(values[self._order], self._first[:-1]) / self.size
        return found

    def counts(self, tokens: NDArray[np.uint8], lengths: Sequence[int]) -> list[sparse.csr_array]:
        """The mean k-mer counts of each element, (elements, features), some at a time."""
        return [self._counts(tokens, lengths, start) for start in range(0, len(self.size), CHUNK_ROWS)]

    def _counts(self, tokens: NDArray[np.uint8], lengths: Sequence[int], start: int) -> sparse.csr_array:
        size = self.size[start : start + CHUNK_ROWS]
        first = self._first[start : start + len(size) + 1]
        counts = count_kmers(tokens[self._order[first[0] : first[-1]]], lengths)
        share = np.repeat(1 / size, np.diff(first))
        return sparse.csr_array(sparse.csr_array((share, np.arange(len(share)), first - first[0])) @ counts)


def _count_parts(tokens: NDArray[np.uint8], lengths: Sequence[int]) -> Iterator[sparse.csr_array]:
    """The counts (some, features) of tokens (n, length), some at a time."""
    starts = range(0, max(len(tokens), 1), CHUNK_ROWS)
    return (count_kmers(tokens[start : start + CHUNK_ROWS], lengths) for start in starts)
