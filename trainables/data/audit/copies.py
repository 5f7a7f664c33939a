"""Sequences that stand in two sets, as they are, as the other strand, or nearly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.audit.kmers import PACKED, KmerSet, in_chunks, kmer_hashes
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement

SHARED = 60
"""Bases in a row that two sequences that are near copies have in common, or else"""
IDENTITY = 0.9
"""of the aligned bases so many are the same, over COVERED of the shorter one."""
COVERED = 0.8
SAMPLED = 4
"""One k-mer in so many stands for them all where candidates are looked for."""
CANDIDATES = 3
"""Sequences that one is aligned with: those that share most k-mers with it."""
REPEATED = 1000
"""A k-mer that more pairs share is a repeat's, or a design's: only its first HOLDERS rows of the reference make candidates."""
HOLDERS = 2
SHORTEST = 30
"""Bases that an insert must have for its copies to be no coincidence: of fewer the whole sequence alone is compared."""


class Copies(NamedTuple):
    """For each of a set's sequences, (n,), the first row of another set that is a copy, or a near one; -1 without."""

    same: NDArray[np.int64]
    near: NDArray[np.int64]


def sequence_keys(tokens: NDArray[np.uint8]) -> list[bytes]:
    """A key of each sequence that its reverse complement has, too; N at the ends does not count."""
    other = reverse_complement(tokens)
    pad = bytes([N_TOKEN])
    return [min(a.tobytes().strip(pad), b.tobytes().strip(pad)) for a, b in zip(tokens, other, strict=True)]


class CopyKeys(NamedTuple):
    """The keys of n sequences, whole and without adapters."""

    whole: Sequence[bytes]
    inner: Sequence[bytes]

    @classmethod
    def of(cls, tokens: NDArray[np.uint8], ends: tuple[int, int]) -> CopyKeys:
        """Those of sequences (n, length); ends: as of `find_copies`."""
        return cls(sequence_keys(tokens), sequence_keys(_between(tokens, ends)))

    def at(self, rows: NDArray[np.int64]) -> CopyKeys:
        """Those of some rows."""
        return CopyKeys(*([of[row] for row in rows] for of in self))


def find_copies(
    reference: NDArray[np.uint8],
    asked: NDArray[np.uint8],
    ends: tuple[int, int],
    keys: tuple[CopyKeys, CopyKeys] | None = None,
) -> Copies:
    """Which sequences asked (n, length) stand in a reference (m, length), on either strand.

    ends: bases of adapters at both ends, which all have: what lies between is compared, and the whole as well. keys: of both,
    where they were made. In time and memory linear in what is given.
    """
    same = np.full(len(asked), -1, np.int64)
    inner = [_between(tokens, ends) for tokens in (reference, asked)]
    of_reference, of_asked = keys or (CopyKeys.of(reference, ends), CopyKeys.of(asked, ends))
    for theirs, ours, least in zip(of_reference, of_asked, (1, SHORTEST), strict=True):
        first = {key: row for row, key in reversed(list(enumerate(theirs))) if len(key) >= least}
        found = np.array([first.get(key, -1) for key in ours], np.int64)
        same = np.where(same < 0, found, same)
    near = same.copy()
    rest = np.flatnonzero(near < 0)
    near[rest] = _sharing(inner[0], inner[1][rest])
    rest = np.flatnonzero(near < 0)
    near[rest] = _alike(inner[0], inner[1][rest])
    return Copies(same, near)


def _between(tokens: NDArray[np.uint8], ends: tuple[int, int]) -> NDArray[np.uint8]:
    return tokens[:, ends[0] : tokens.shape[1] - ends[1]]


def _sharing(reference: NDArray[np.uint8], asked: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The first reference row that has SHARED bases in a row in common with each sequence asked, (n,); -1 without."""
    if not len(asked) or not len(reference) or asked.shape[1] < SHARED:
        return np.full(len(asked), -1, np.int64)
    wanted = KmerSet(np.concatenate([found[known] for _, found, known in in_chunks(asked, SHARED)]))
    holder = np.full(len(wanted.sorted), len(reference), np.int64)
    for first, found, known in in_chunks(reference, SHARED):
        rows = np.nonzero(known)[0] + first
        which, place = wanted.find(found[known])
        np.minimum.at(holder, place, rows[which])
    held = holder < len(reference)
    shared, holder = KmerSet(wanted.sorted[held]), holder[held]
    best = np.full(len(asked), len(reference), np.int64)
    for first, found, known in in_chunks(asked, SHARED):
        which, place = shared.find(found[known])
        np.minimum.at(best, (np.nonzero(known)[0] + first)[which], holder[place])
    return np.where(best < len(reference), best, -1)


def _alike(reference: NDArray[np.uint8], asked: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A reference row that each sequence asked is IDENTITY identical with, (n,); -1 without."""
    found = np.full(len(asked), -1, np.int64)
    of_asked = _sample(asked)
    if of_asked is None:
        return found
    hashes, rows = of_asked
    wanted = KmerSet(hashes)
    ours, theirs = [], []
    for first in range(0, len(reference), 1 << 14):
        if (part := _sample(reference[first : first + (1 << 14)])) is not None:
            which, place = wanted.find(part[0])
            ours.append(place)
            theirs.append(part[1][which] + first)
    if not ours:
        return found
    place, row = np.concatenate(ours), np.concatenate(theirs)
    for candidate, other in _candidates(np.searchsorted(wanted.sorted, hashes), rows, place, row, len(wanted.sorted)):
        if found[candidate] < 0 and identity(asked[candidate], reference[other]) >= IDENTITY:
            found[candidate] = other
    return found


def _sample(tokens: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.int64]] | None:
    """Hashes of one in SAMPLED of the distinct PACKED-mers of each sequence, chosen by the hash itself, and their rows."""
    hashes, rows = [], []
    for first, found, known in in_chunks(tokens, PACKED):
        chosen = known & (found % np.uint64(SAMPLED) == 0)
        hashes.append(found[chosen])
        rows.append(np.nonzero(chosen)[0] + first)
    if not hashes or not sum(map(len, hashes)):
        return None
    every, row = np.concatenate(hashes), np.concatenate(rows)
    order = np.lexsort((every, row))
    every, row = every[order], row[order]
    again = (every[1:] == every[:-1]) & (row[1:] == row[:-1])
    keep = np.concatenate([[True], ~again])
    return every[keep], row[keep]


def _candidates(
    ours: NDArray[np.int64],
    our_row: NDArray[np.int64],
    theirs: NDArray[np.int64],
    their_row: NDArray[np.int64],
    kinds: int,
) -> list[tuple[int, int]]:
    """Pairs of rows with two sampled k-mers in common or more, for each row asked the CANDIDATES with most.

    ours, theirs: the kind of each k-mer, of so many; our_row, their_row: its row.
    """
    our_order, their_order = np.argsort(ours, kind="stable"), np.argsort(theirs, kind="stable")
    our_count, their_count = np.bincount(ours, minlength=kinds), np.bincount(theirs, minlength=kinds)
    their_start = np.cumsum(their_count) - their_count
    their_count = np.where(our_count * their_count > REPEATED, np.minimum(their_count, HOLDERS), their_count)
    pairs = our_count * their_count
    kind = np.repeat(np.arange(kinds), pairs)
    within = np.arange(len(kind)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    our_start = np.cumsum(our_count) - our_count
    width = np.maximum(their_count, 1)
    one = our_row[our_order[our_start[kind] + within // width[kind]]]
    other = their_row[their_order[their_start[kind] + within % width[kind]]]
    both, count = np.unique(np.stack([one, other], axis=1), axis=0, return_counts=True)
    both, count = both[count > 1], count[count > 1]
    order = np.lexsort((-count, both[:, 0]))
    both = both[order]
    rank = np.arange(len(both)) - np.searchsorted(both[:, 0], both[:, 0])
    return [(int(a), int(b)) for a, b in both[rank < CANDIDATES]]


def identity(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The larger of two estimates of how much of the shorter sequence the other has, on either strand, 0 to 1.

    The share of equal bases along the diagonal on which most k-mers agree, if it covers COVERED of the shorter one; and the
    share of its k-mers that the other has, to the power of 1/k, which insertions and deletions do not disturb (as in Mash, Ondov
    et al. 2016), if those lie over COVERED of both.
    """
    (ours, at), (theirs, there) = (_distinct(tokens) for tokens in (one, other))
    shared, which, place = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    least = min(len(ours), len(theirs))
    if not len(shared):
        return 0.0
    spread = min(_reach(at[which]) / _reach(at), _reach(there[place]) / _reach(there))
    enough = least >= SHARED - PACKED and spread >= COVERED
    by_kmers = float((len(shared) / least) ** (1 / PACKED)) if enough else 0.0
    mirrored = len(other) - PACKED - there
    forward = _along(one, other, at[which] - there[place])
    return max(by_kmers, forward, _along(one, reverse_complement(other), at[which] - mirrored[place]))


def _reach(places: NDArray[np.int64]) -> int:
    """Bases from the first of some k-mers to the end of the last."""
    return int(places.max() - places.min()) + PACKED


def _distinct(tokens: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The distinct k-mers of a sequence, and where each is first."""
    hashes, known = kmer_hashes(tokens[None], PACKED)
    places = np.flatnonzero(known)
    found, first = np.unique(hashes[0, places], return_index=True)
    return found, places[first]


def _along(one: NDArray[np.uint8], other: NDArray[np.uint8], shifts: NDArray[np.int64]) -> float:
    """Equal bases at the commonest of shifts, a share of those that lie on each other; 0 where these are less than COVERED."""
    values, counts = np.unique(shifts, return_counts=True)
    shift, length = int(values[counts.argmax()]), len(one)
    a, b = one[max(shift, 0) : length + min(shift, 0)], other[max(-shift, 0) : length - max(shift, 0)]
    known = (a != N_TOKEN) & (b != N_TOKEN)
    least = COVERED * min(int((tokens != N_TOKEN).sum()) for tokens in (one, other))
    return float((a == b)[known].mean()) if known.sum() >= max(least, 1) else 0.0
