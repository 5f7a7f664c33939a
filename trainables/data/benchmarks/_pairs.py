"""Whether the two sequences of a variant are of one place: the same but for what the variant changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nrtune.trainables.data.findings import Finding, flagged, row_of
from nrtune.trainables.data.sequences import BASES, N_TOKEN

SEQUENCES_UNRELATED = "sequences-unrelated"

FEWEST = 24
"""Bases of sequences of which it is said: shorter ones are alike, or not, by chance."""
ALIKE = 0.5
"""The share of places with one base, a quarter of them by chance, that sequences of one place have; else they share"""
WORD = 12
"""bases in a row: an insertion moves what is behind it."""

_COMPLEMENT = str.maketrans(BASES, "TGCAN")


def unrelated(where: str, ref: Sequence[str], alt: Sequence[str], rows: Sequence[int]) -> list[Finding]:
    """What is found where two sequences of a row, in upper case, have nothing in common. rows: their numbers, from 0."""
    apart = np.array([not _related(*pair) for pair in zip(ref, alt, strict=True)], bool)
    turned = sum(_related(ref[at], alt[at].translate(_COMPLEMENT)[::-1]) for at in np.flatnonzero(apart))
    why = ": alt_seq is the other strand's" if 2 * turned > apart.sum() else ": is one column in another order?"
    return flagged(
        apart,
        SEQUENCES_UNRELATED,
        "error",
        f"ref_seq and alt_seq of one row have nothing in common{why}",
        where=where,
        example=lambda at: row_of(rows[at]),
        advice="give the two sequences that were measured, before and after one change",
    )


def _related(one: str, other: str) -> bool:
    """Whether two sequences are of one place, as far as one can say."""
    if min(len(sequence) - sequence.count(BASES[N_TOKEN]) for sequence in (one, other)) < FEWEST:
        return True
    pairs = [(a, b) for a, b in zip(one, other, strict=False) if BASES[N_TOKEN] not in (a, b)]
    if pairs and sum(a == b for a, b in pairs) >= ALIKE * len(pairs):
        return True
    words = {one[at : at + WORD] for at in range(len(one) - WORD + 1)}
    words = {word for word in words if BASES[N_TOKEN] not in word}
    return any(other[at : at + WORD] in words for at in range(len(other) - WORD + 1))
