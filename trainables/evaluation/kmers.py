"""Counts of canonical k-mers: a k-mer and its reverse complement are one feature, so that both strands count alike."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement


def count_kmers(tokens: NDArray[np.uint8], lengths: Sequence[int]) -> sparse.csr_array:
    """Count the canonical k-mers of each length in tokens (n, bases): (n, features) float64, in the order of `canonical_kmers`.

    A k-mer that holds N does not count; one that is its own reverse complement counts once a place. A row's entries are in
    the order of the features, so that a sum over them is bitwise the same for both strands.
    """
    return sparse.csr_array(sparse.hstack([_count(tokens, k) for k in lengths], format="csr"))


def canonical_kmers(k: int) -> NDArray[np.uint8]:
    """Tokens (features, k) of each k-mer that comes before its reverse complement, or is it, in alphabetical order."""
    kmers = _all_kmers(k)
    return kmers[_code(kmers) <= _code(reverse_complement(kmers))]


def _count(tokens: NDArray[np.uint8], k: int) -> sparse.csr_array:
    n, places = len(tokens), max(tokens.shape[1] - k + 1, 0)
    code = np.zeros((n, places), np.int32)
    known = np.ones((n, places), bool)
    for offset in range(k):
        base = tokens[:, offset : offset + places]
        code = 4 * code + base
        known &= base != N_TOKEN
    feature_of_code = _feature_of_code(k)
    feature = feature_of_code[code[known]]
    first = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    counts = sparse.csr_array((np.ones(len(feature)), feature, first), shape=(n, int(feature_of_code.max()) + 1))
    counts.sum_duplicates()
    return counts


@functools.cache
def _feature_of_code(k: int) -> NDArray[np.int32]:
    """The row in `canonical_kmers` of each k-mer (4^k,), by its code."""
    kmers = _all_kmers(k)
    canonical = np.minimum(_code(kmers), _code(reverse_complement(kmers)))
    return np.unique(canonical, return_inverse=True)[1].astype(np.int32)


def _all_kmers(k: int) -> NDArray[np.uint8]:
    """Tokens (4^k, k) of all k-mers, by their code."""
    return np.indices((4,) * k, np.uint8).reshape(k, -1).T


def _code(kmers: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Each k-mer (n, k) as a number: A C G T are the digits 0 to 3, the first base the highest."""
    return kmers.astype(np.int64) @ 4 ** np.arange(kmers.shape[1])[::-1]
