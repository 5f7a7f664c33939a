"""The two orientations in which elements are measured, found in their sequences, whatever stands around the inserts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.dataset import shared_ends
from nrtune.trainables.data.sequences import COMPLEMENT, N_TOKEN, reverse_complement

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
ROUNDS = 8
"""Kinds of adapters, absent ones among them, that one data set may have."""
AGREE = 0.5
"""Rows that are called two orientations are so where this share of the shorter one is the other's reverse complement."""

_PAD = bytes([N_TOKEN])
_COMPLEMENT = bytes(COMPLEMENT) + bytes(range(len(COMPLEMENT), 256))
_FORWARD = ("f", "fwd", "for", "forward", "plus", "pos", "positive", "sense", "+")
_REVERSE = ("r", "rev", "reverse", "reversed", "rc", "revcomp", "minus", "neg", "negative", "antisense", "as", "-")
_ORIENTATION = {**dict.fromkeys(_FORWARD, "forward"), **dict.fromkeys(_REVERSE, "reverse")}
_BETWEEN = r"_.:;,|/\s()\[\]-"
_WORD = re.compile(
    rf"(?:^|(?<=[{_BETWEEN}]))({'|'.join(re.escape(word) for word in sorted(_ORIENTATION, key=len, reverse=True))})"
    rf"(?=$|[{_BETWEEN}])|[+-]$",
    re.IGNORECASE,
)
"""A word in a name that says an orientation, such as e1_F, e1 reverse, e1_Reversed:, chr1:100-300(+) and e1-."""


class Orientations(NamedTuple):
    """partner: (N,), the row of the other orientation, or -1; of several rows of one orientation each has its own.

    keys: what all rows of an element share, and rows of other elements do not, on either strand.
    """

    partner: NDArray[np.int64]
    keys: list[bytes]


def orientation_pairs(tokens: NDArray[np.uint8], names: Sequence[str] | None = None) -> Orientations:
    """Which rows of (N, length) are the two orientations of an element: A insert B, and A reverse complement of it B.

    Nothing is assumed of the adapters A and B but that both rows have the same: they may be of unequal length, or none, in all
    rows or in some; N at the ends, where sequences of unequal length were padded, does not count. names: of the rows; where two
    say the orientations of one element, such as e1_F and e1_R, and at least half of the shorter sequence agrees, each may have
    adapters of its own. In time linear in N.
    """
    found = _Found(tokens)
    # Adapters shared by chance with a few bases of the inserts would hide pairs: the two must be of equal length.
    margin = min(shared_ends(tokens)) if len(tokens) and tokens.shape[1] else 0
    inner = tokens[:, margin : tokens.shape[1] - margin]
    forward = [row.tobytes() for row in np.ascontiguousarray(inner)]
    reverse = [row.tobytes() for row in reverse_complement(inner)]
    found.keys = [min(a, b) for a, b in zip(forward, reverse, strict=True)]
    found.pair(range(len(tokens)), forward, found.keys)
    found.key_of = {key.strip(_PAD): key for row, key in enumerate(found.keys) if found.partner[row] >= 0}
    for _ in range(ROUNDS):
        rest = np.flatnonzero(found.partner < 0)
        ends = None if len(rest) < 2 else _ends(found.rows, rest)
        if ends is None or not found.pair_between(rest, *ends):
            break
    found.pair_between(np.flatnonzero(found.partner < 0), 0, 0)  # a few among many, which the sample may have missed
    found.join_single_rows()
    if names is not None:
        found.pair_named(names)
    return Orientations(found.partner, found.keys)


class _Found:
    """Pairs as they are found, and the sequences (N, length) as bytes without the N at their ends.

    key_of: of the elements found, by their insert on the strand that sorts first. ends: bases that were left off at both ends.
    """

    def __init__(self, tokens: NDArray[np.uint8]) -> None:
        self.rows = [row.tobytes().strip(_PAD) for row in tokens]
        self.partner = np.full(len(tokens), -1, np.int64)
        self.keys: list[bytes] = []
        self.key_of: dict[bytes, bytes] = {}
        self.ends: list[tuple[int, int]] = []

    def pair(self, rows: Sequence[int], forward: Sequence[bytes], groups: Sequence[object]) -> int:
        """Give rows of one group and of different sequences partners, in the order of the file; returns how many pairs."""
        sides: dict[object, dict[bytes, list[int]]] = defaultdict(dict)
        for row, sequence, group in zip(rows, forward, groups, strict=True):
            sides[group].setdefault(sequence, []).append(row)
        count = 0
        for both in sides.values():
            if len(both) == 2:
                for one, other in zip(*both.values(), strict=False):
                    self.partner[one], self.partner[other] = other, one
                    count += 1
        return count

    def pair_between(self, rest: NDArray[np.int64], left: int, right: int) -> int:
        """Pair the rest by what lies between so many bases at the ends, which partners must share; returns how many pairs."""
        rows = [int(row) for row in rest if len(self.rows[row]) > left + right]
        forward = [self.rows[row][left : len(self.rows[row]) - right] for row in rows]
        inserts = [min(insert, _other_strand(insert)) for insert in forward]
        outer = [(self.rows[row][:left], self.rows[row][len(self.rows[row]) - right :]) for row in rows]
        count = self.pair(rows, forward, list(zip(inserts, outer, strict=True)))
        for row, insert in zip(rows, inserts, strict=True):
            if self.partner[row] >= 0:
                self.keys[row] = self.key_of.setdefault(insert, insert)
        self.ends.append((left, right))
        return count

    def join_single_rows(self) -> None:
        """Give rows without a partner the key of the element whose insert they have, within whatever ends."""
        for row in np.flatnonzero(self.partner < 0):
            for left, right in self.ends:
                insert = self.rows[row][left : len(self.rows[row]) - right]
                if (key := self.key_of.get(min(insert, _other_strand(insert)))) is not None:
                    self.keys[row] = key
                    break

    def pair_named(self, names: Sequence[str]) -> None:
        """Pair rows without a partner whose names say two orientations of one element, where the sequences agree."""
        elements: dict[str, dict[str, list[int]]] = defaultdict(lambda: {"forward": [], "reverse": []})
        for row in np.flatnonzero(self.partner < 0).tolist():
            for element, orientation in _named(names[row]):
                elements[element][orientation].append(row)
        same: dict[bytes, bytes] = {}
        for both in elements.values():
            for one, other in zip(both["forward"], both["reverse"], strict=False):
                if self.partner[one] < 0 and self.partner[other] < 0 and _agree(self.rows[one], self.rows[other]):
                    self.partner[one], self.partner[other] = other, one
                    keys = _last(same, self.keys[one]), _last(same, self.keys[other])
                    same[max(keys)] = min(keys)
        self.keys = [_last(same, key) for key in self.keys] if same else self.keys


def _last(same: Mapping[bytes, bytes], key: bytes) -> bytes:
    while same.get(key, key) != key:
        key = same[key]
    return key


def _named(name: str) -> set[tuple[str, str]]:
    """The element that a name is of, and the orientation that it says; forward where it says none."""
    said = {
        (_element(name[: word.start()] + name[word.end() :]), _ORIENTATION[word.group().lower()])
        for word in _WORD.finditer(name)
    }
    return said or {(_element(name), "forward")}


def _element(name: str) -> str:
    return re.sub(rf"[{_BETWEEN}]+", "_", name).strip("_")


def _other_strand(sequence: bytes) -> bytes:
    return sequence[::-1].translate(_COMPLEMENT)


def _ends(rows: Sequence[bytes], rest: NDArray[np.int64]) -> tuple[int, int] | None:
    """How many bases at both ends are no insert's in most pairs among the rest; None where no pair is seen.

    With adapters of l and r bases, position p of one orientation lies opposite position n - 1 - p + l - r of the other: its core
    is looked for at every distance l - r.
    """
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
        opposite = (lengths - core - place)[asked]
        for distance, inside, wanted in _windows(flat, start[asked], lengths[asked], opposite, core):
            first = np.searchsorted(ordered, wanted)
            hit = np.flatnonzero(inside & (ordered[np.minimum(first, len(ordered) - 1)] == wanted))
            if len(hit) <= most:
                continue
            sample = hit[np.unique(np.linspace(0, len(hit) - 1, min(len(hit), EXAMINED)).astype(np.int64))]
            ends = []
            for one, position in zip(usable[asked[sample]], first[sample], strict=True):
                same = order[position : position + ALIKE]
                partners = usable[same[packed[same] == ordered[position]]]
                tried = (_shared_ends_of(rows[one], rows[other], distance) for other in partners if other != one)
                ends += [found] if (found := next(filter(None, tried), None)) else []
            if ends and len(hit) * len(ends) / len(sample) > most:
                best, most = min(ends), len(hit) * len(ends) / len(sample)
        if best is not None:
            return best
    return None


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


def _shared_ends_of(one: bytes, other: bytes, distance: int) -> tuple[int, int] | None:
    """The most bases at both ends that two rows share, `distance` more at the left, with one insert on both strands between."""
    if len(one) != len(other):
        return None
    right = min(_common(one[::-1], other[::-1]), _common(one, other) - distance)
    left = right + distance
    if right < 0 or left < 0 or left + right >= len(one):
        return None
    insert = one[left : len(one) - right]
    return (left, right) if insert == _other_strand(other[left : len(other) - right]) else None


def _common(one: bytes, other: bytes) -> int:
    """How many bases two sequences begin with alike."""
    differ = np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8)
    return int(differ.argmax()) if differ.any() else len(one)


def _agree(one: bytes, other: bytes) -> bool:
    """Whether one sequence and the other's reverse complement have AGREE of the shorter one in a row in common."""
    strand = _other_strand(other)
    needed = max(1, int(AGREE * min(len(one), len(other))))
    step = max(1, needed // 2)
    for first in range(0, len(one) - step + 1, step):  # any run of needed bases holds one of these whole
        seed = one[first : first + step]
        at = strand.find(seed)
        while at >= 0:
            before = _common(one[:first][::-1][:at], strand[:at][::-1][:first])
            after_one, after_other = one[first + step :], strand[at + step :]
            shorter = min(len(after_one), len(after_other))
            if before + step + _common(after_one[:shorter], after_other[:shorter]) >= needed:
                return True
            at = strand.find(seed, at + 1)
    return False
