"""The two orientations in which elements are measured, found in their sequences, whatever stands around the inserts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.dataset import shared_ends
from nrtune.trainables.data.inserts import (
    AGREE,
    Ends,
    common,
    fewest,
    most_common,
    of_most_inserts,
    other_strand,
    own_ends_of,
    shared_ends_of,
    stands_within,
)
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement

ROUNDS = 8
"""Kinds of adapters, absent ones among them, that one data set may have."""

_PAD = bytes([N_TOKEN])
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

    Nothing is assumed of the adapters A and B: they may be of unequal length, or none, in all rows or in some; N at the ends,
    where sequences of unequal length were padded, does not count. Where the two orientations have adapters of their own, these
    must surround INSERTS elements or more. names: of the rows; where two say the orientations of one element, such as e1_F and
    e1_R, and at least half of the shorter sequence agrees, each may have any. In time linear in N.
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
        ends = most_common(found.rows, rest, shared_ends_of, fewest)
        if ends is None or not found.pair_between(rest, *ends):
            break
    found.pair_between(np.flatnonzero(found.partner < 0), 0, 0)  # a few among many, which the sample may have missed
    for _ in range(ROUNDS):
        rest = np.flatnonzero(found.partner < 0)
        own = most_common(found.rows, rest, own_ends_of, of_most_inserts)
        if own is None or not found.pair_within(rest, own.ends):
            break
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
        inserts = [min(insert, other_strand(insert)) for insert in forward]
        outer = [(self.rows[row][:left], self.rows[row][len(self.rows[row]) - right :]) for row in rows]
        count = self.pair(rows, forward, list(zip(inserts, outer, strict=True)))
        for row, insert in zip(rows, inserts, strict=True):
            if self.partner[row] >= 0:
                self.keys[row] = self.key_of.setdefault(insert, insert)
        self.ends.append((left, right))
        return count

    def pair_within(self, rest: NDArray[np.int64], ends: Ends) -> int:
        """Pair the rest where each orientation stands within ends of its own; returns how many pairs."""
        count = 0
        of_both = sorted(ends, key=lambda own: sum(map(len, own)), reverse=True)
        for order in (of_both, of_both[::-1]):  # a row may begin and end with both, if those of one are short
            rows, sides, inserts = [], [], []
            for row in rest.tolist():
                sequence = self.rows[row]
                fitting = (own for own in order if stands_within(sequence, own))
                if self.partner[row] < 0 and (own := next(fitting, None)) is not None:
                    insert = sequence[len(own[0]) : len(sequence) - len(own[1])]
                    rows.append(row)
                    sides.append(b"%d" % ends.index(own))
                    inserts.append(insert if own == ends[0] else other_strand(insert))
            count += self.pair(rows, sides, inserts)
            for row, insert in zip(rows, inserts, strict=True):
                if self.partner[row] >= 0:
                    insert = min(insert, other_strand(insert))
                    self.keys[row] = self.key_of.setdefault(insert, insert)
        self.ends += [(len(left), len(right)) for left, right in ends]
        return count

    def join_single_rows(self) -> None:
        """Give rows without a partner the key of the element whose insert they have, within whatever ends."""
        for row in np.flatnonzero(self.partner < 0):
            for left, right in self.ends:
                insert = self.rows[row][left : len(self.rows[row]) - right]
                if (key := self.key_of.get(min(insert, other_strand(insert)))) is not None:
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


def _agree(one: bytes, other: bytes) -> bool:
    """Whether one sequence and the other's reverse complement have AGREE of the shorter one in a row in common."""
    strand = other_strand(other)
    needed = max(1, int(AGREE * min(len(one), len(other))))
    step = max(1, needed // 2)
    for first in range(0, len(one) - step + 1, step):  # any run of needed bases holds one of these whole
        seed = one[first : first + step]
        at = strand.find(seed)
        while at >= 0:
            before = common(one[:first][::-1], strand[:at][::-1])
            if before + step + common(one[first + step :], strand[at + step :]) >= needed:
                return True
            at = strand.find(seed, at + 1)
    return False
