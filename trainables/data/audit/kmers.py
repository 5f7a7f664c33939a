"""k-mers of many sequences as numbers, the same for both strands, in linear time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.sequences import N_TOKEN

PACKED = 16
"""Bases that fit into 32 bits."""
_ROWS = 2048
"""Sequences at a time: 2048 of 230 bases take 4 MB an array of 64-bit numbers."""
_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)
"""Odd, so that multiplication by them loses nothing."""


def kmer_hashes(tokens: NDArray[np.uint8], k: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """A number for the k-mer that begins at each place, (n, length - k + 1), and whether it holds no N.

    A k-mer and its reverse complement have one number; two others have the same with a probability of about 2^-64. tokens:
    (n, length); k: PACKED to 4 times that.
    """
    count = tokens.shape[1] - k + 1
    if not PACKED <= k <= PACKED * len(_FACTORS):
        raise ValueError(f"k is {k}; it must be {PACKED} to {PACKED * len(_FACTORS)}")
    if count <= 0:
        return np.empty((len(tokens), 0), np.uint64), np.empty((len(tokens), 0), bool)
    known = tokens != N_TOKEN
    whole = np.cumsum(np.pad(~known, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    forward, reverse = (_mixed(packed) for packed in _packed(np.where(known, tokens, 0)))
    starts = [*range(0, k - PACKED, PACKED), k - PACKED]  # pieces that cover it; the last two may overlap
    one = np.zeros((len(tokens), count), np.uint64)
    other = np.zeros_like(one)
    for factor, start in zip(_FACTORS, starts, strict=False):
        one += np.uint64(factor) * forward[:, start : start + count]
        mirrored = k - PACKED - start
        other += np.uint64(factor) * reverse[:, mirrored : mirrored + count]
    return np.minimum(one, other), whole[:, k:] == whole[:, :count]


def in_chunks(tokens: NDArray[np.uint8], k: int) -> Iterator[tuple[int, NDArray[np.uint64], NDArray[np.bool_]]]:
    """The hashes of `kmer_hashes` of so many sequences at a time that they fit into memory, with the first one's row."""
    for first in range(0, len(tokens), _ROWS):
        yield first, *kmer_hashes(tokens[first : first + _ROWS], k)


class KmerSet:
    """Distinct numbers of k-mers, and whether others are among them: a table of bits asks most of them away."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        every = np.sort(hashes)
        self.sorted = every[np.append(True, every[1:] != every[:-1])[: len(every)]]
        self._bits = max(16, int(np.ceil(np.log2(max(len(self.sorted), 1)))) + 4)
        self._there = np.zeros(1 << self._bits, bool)
        self._there[self._short(self.sorted)] = True

    def find(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of flat hashes are in the set, and the place in `sorted` of each of these."""
        maybe = np.flatnonzero(self._there[self._short(hashes)])
        place = np.searchsorted(self.sorted, hashes[maybe])
        place[place == len(self.sorted)] = 0
        same = self.sorted[place] == hashes[maybe] if len(self.sorted) else np.zeros(len(maybe), bool)
        return maybe[same], place[same]

    def _short(self, hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        short: NDArray[np.uint64] = hashes >> np.uint64(64 - self._bits)
        return short


def _packed(tokens: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The PACKED-mer that begins at each place as 32 bits, and its reverse complement, by doubling what is packed."""
    forward, reverse = tokens.astype(np.uint32), (3 - tokens).astype(np.uint32)
    size = 1
    while size < PACKED:
        bits = np.uint32(2 * size)
        forward = (forward[:, :-size] << bits) | forward[:, size:]
        reverse = reverse[:, :-size] | (reverse[:, size:] << bits)
        size *= 2
    return forward, reverse


def _mixed(packed: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """32 bits spread over 64, each of them over all (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = packed.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
