"""What surrounds inserts that stand in a library in both orientations, told from the sequences alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.sequences import COMPLEMENT

CORE = 31
"""Bases of the part by which a partner is looked for; a third of a shorter sequence."""
ANCHORS = (0.5, 0.25, 0.75, 0.0, 1.0)
"""Where in a sequence that part is taken: an insert beside one long adapter does not reach its middle."""
SAMPLED = 5_000
"""Rows that adapters are told from, and"""
EXAMINED = 300
"""pairs of them that are looked at base by base for each distance."""
ALIKE = 8
"""Rows with one core that are tried as partners: variants of an element share theirs."""
AGREE = 0.5
"""Rows that are called two orientations are so where this share of the shorter one is the other's reverse complement."""
INSERTS = 3
"""Different inserts that must be seen within one orientation's adapters and the other's, where these differ: overlapping elements
on two strands agree in as many bases, but what surrounds those is another each time."""

_COMPLEMENT = bytes(COMPLEMENT) + bytes(range(len(COMPLEMENT), 256))


def other_strand(sequence: bytes) -> bytes:
    """The reverse complement of a sequence of tokens."""
    return sequence[::-1].translate(_COMPLEMENT)


class _Hit(NamedTuple):
    """A row, and another that has the other strand of its core: the sequences, `distance` as of `most_common`.

    core: where it begins in `one`, and in the other strand of `other`.
    """

    one: bytes
    other: bytes
    distance: int
    core: tuple[int, int]


_Seen = TypeVar("_Seen")
Ends = tuple[tuple[bytes, bytes], tuple[bytes, bytes]]
"""What stands left and right of an insert in one orientation, and in the other."""


def most_common(
    rows: Sequence[bytes],
    rest: NDArray[np.int64],
    look: Callable[[_Hit], _Seen | None],
    choose: Callable[[Sequence[_Seen]], tuple[_Seen, int] | None],
) -> _Seen | None:
    """What is seen in most pairs among the rest; None where none is.

    With adapters of l and r bases, position p of one orientation lies opposite position n - 1 - p + l - r of the other: its core
    is looked for at every distance l - r. look: what two rows show. choose: of several such, and in how many it is.
    """
    if len(rest) < 2:
        return None
    lengths = np.array([len(rows[row]) for row in rest.tolist()])
    core = max(6, min(CORE, int(np.median(lengths)) // 3))
    usable, lengths = rest[lengths >= core], lengths[lengths >= core]
    if len(usable) < 2:
        return None
    flat = np.frombuffer(b"".join(rows[row] for row in usable), np.uint8)
    start = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    asked = np.unique(np.linspace(0, len(usable) - 1, min(len(usable), SAMPLED)).astype(np.int64))
    for anchor in ANCHORS:
        place = ((lengths - core) * anchor).astype(np.int64)
        packed = _pack(flat, start + place, core)
        order = np.argsort(packed, kind="stable")
        ordered = packed[order]
        best, most = None, 0.0
        opposite = lengths - core - place
        for distance, inside, wanted in _windows(flat, start[asked], lengths[asked], opposite[asked], core):
            first = np.searchsorted(ordered, wanted)
            hit = np.flatnonzero(inside & (ordered[np.minimum(first, len(ordered) - 1)] == wanted))
            if len(hit) <= most:
                continue
            sample = hit[np.unique(np.linspace(0, len(hit) - 1, min(len(hit), EXAMINED)).astype(np.int64))]
            seen = []
            for one, position in zip(asked[sample], first[sample], strict=True):
                same = order[position : position + ALIKE]
                others = same[(packed[same] == ordered[position]) & (same != one)]
                looked = (
                    look(
                        _Hit(
                            rows[usable[one]],
                            rows[usable[other]],
                            distance,
                            (opposite[one] + distance, opposite[other]),
                        )
                    )
                    for other in others
                )
                seen += [found] if (found := next(filter(None, looked), None)) else []
            chosen = choose(seen)
            if chosen is not None and len(hit) * chosen[1] / len(sample) > most:
                best, most = chosen[0], len(hit) * chosen[1] / len(sample)
        if best is not None:
            return best
    return None


def fewest(seen: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], int] | None:
    """The fewest bases that are no insert's: some inserts go on as their adapters do."""
    return (min(seen), len(seen)) if seen else None


class OwnEnds(NamedTuple):
    """The ends of both orientations of an insert, the one that sorts first on the first strand, and that insert."""

    ends: Ends
    insert: bytes


def of_most_inserts(seen: Sequence[OwnEnds]) -> tuple[OwnEnds, int] | None:
    """The ends of most inserts, INSERTS different ones or more."""
    of_ends: dict[Ends, set[bytes]] = defaultdict(set)
    for one in seen:
        of_ends[one.ends].add(one.insert)
    ends = max(of_ends, key=lambda own: len(of_ends[own]), default=None)
    if ends is None or len(of_ends[ends]) < INSERTS:
        return None
    return next(one for one in seen if one.ends == ends), sum(one.ends == ends for one in seen)


def own_ends_of(hit: _Hit) -> OwnEnds | None:
    """What surrounds the bases that two rows have in common on both strands, AGREE of the shorter one or more."""
    one, strand = hit.one, other_strand(hit.other)
    at, there = hit.core
    before = common(one[:at][::-1], strand[:there][::-1])
    after = common(one[at:], strand[there:])
    if before + after < AGREE * min(len(one), len(strand)):
        return None
    insert = one[at - before : at + after]
    own = one[: at - before], one[at + after :]
    others = other_strand(strand[there + after :]), other_strand(strand[: there - before])
    return OwnEnds((own, others) if own <= others else (others, own), min(insert, other_strand(insert)))


def stands_within(sequence: bytes, ends: tuple[bytes, bytes]) -> bool:
    """Whether a sequence begins and ends so, with an insert between."""
    left, right = ends
    return len(sequence) > len(left) + len(right) and sequence.startswith(left) and sequence.endswith(right)


def _pack(flat: NDArray[np.uint8], start: NDArray[np.int64], length: int) -> NDArray[np.uint64]:
    """So many bases from each start as one number; N counts as T."""
    packed = np.zeros(len(start), np.uint64)
    for step in range(length):
        packed = (packed << np.uint64(2)) | np.minimum(flat[start + step], 3).astype(np.uint64)
    return packed


def _windows(
    flat: NDArray[np.uint8], start: NDArray[np.int64], lengths: NDArray[np.int64], place: NDArray[np.int64], core: int
) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.uint64]]]:
    """Distances, which sequences have a core so far right of its place, and that core's other strand as one number.

    start: of each sequence in flat. place: of each one's core in it, which is as long for all. N counts as A.
    """
    packed = np.zeros(len(start), np.uint64)
    reach = int(lengths.max()) - core
    top = np.uint64(2 * (core - 1))
    for distance in range(-reach - core + 1, reach + 1):
        last = place + distance + core - 1
        base = np.minimum(flat[start + np.clip(last, 0, lengths - 1)], 3).astype(np.uint64)
        packed = (packed >> np.uint64(2)) | ((np.uint64(3) - base) << top)
        if distance >= -reach:
            yield distance, (place + distance >= 0) & (last < lengths), packed


def shared_ends_of(hit: _Hit) -> tuple[int, int] | None:
    """The most bases at both ends that two rows share, `distance` more at the left, with one insert on both strands between."""
    one, other, distance, _ = hit
    if len(one) != len(other):
        return None
    right = min(common(one[::-1], other[::-1]), common(one, other) - distance)
    left = right + distance
    if right < 0 or left < 0 or left + right >= len(one):
        return None
    insert = one[left : len(one) - right]
    return (left, right) if insert == other_strand(other[left : len(other) - right]) else None


def common(one: bytes, other: bytes) -> int:
    """How many bases two sequences begin with alike."""
    shorter = min(len(one), len(other))
    differ = np.frombuffer(one[:shorter], np.uint8) != np.frombuffer(other[:shorter], np.uint8)
    return int(differ.argmax()) if differ.any() else shorter
