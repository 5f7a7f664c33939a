"""Sequences that are another one's reversed, or its complement: a reverse complement is both, and what is one alone is a slip."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.audit.splits import ADAPTERS
from nrtune.trainables.data.dataset import Dataset, shared_ends
from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.sequences import COMPLEMENT, N_TOKEN

SHORTEST = 20
"""Bases that a sequence must have, and"""
WORDS = 12
"""different 4-mers: repeats such as CACACA are their own reverse, but for a base."""
_COMPLEMENT = bytes(COMPLEMENT) + bytes(range(len(COMPLEMENT), 256))


def audit_turned(dataset: Dataset) -> list[Finding]:
    """Rows whose sequence, or what lies between the adapters, is that of another row reversed only, or complemented only."""
    ends = shared_ends(dataset.tokens, ADAPTERS)
    inner = dataset.tokens[:, ends[0] : dataset.length - ends[1]]
    every = [
        [row.tobytes().strip(bytes([N_TOKEN])) for row in np.ascontiguousarray(tokens)]
        for tokens in ((dataset.tokens, inner) if ends != (0, 0) else (dataset.tokens,))
    ]
    found: list[Finding] = []
    for id, words, turn in (
        ("reversed-copies", "reversed, not its reverse complement", _reversed),
        ("complemented-copies", "complement, not its reverse complement", _complemented),
    ):  # fmt: skip
        other = np.full(len(dataset), -1, np.int64)
        for sequences in every:
            first: dict[bytes, int] = {}
            for row, sequence in enumerate(sequences):
                before = first.get(turn(sequence))
                if before is not None and sequence != sequences[before] and other[row] < 0 and _varied(sequence):
                    other[row] = before
                first.setdefault(sequence, row)
        rows = np.flatnonzero(other >= 0)
        equal = bool(len(rows)) and bool((dataset.activity[rows] == dataset.activity[other[rows]]).all())
        found += flagged(
            other >= 0,
            id,
            "warning",
            f"sequences are another one's {words}" + (", with its activity" if equal else ""),
            where=dataset.name,
            example=functools.partial(_pair, dataset, other),
            advice="mend them, or leave them out, unless they are controls that were measured so",
        )
    return found


def _pair(dataset: Dataset, other: NDArray[np.int64], row: int) -> str:
    return dataset.places.two(row, int(other[row]))


def _reversed(sequence: bytes) -> bytes:
    return sequence[::-1]


def _complemented(sequence: bytes) -> bytes:
    return sequence.translate(_COMPLEMENT)


def _varied(sequence: bytes) -> bool:
    return len(sequence) >= SHORTEST and len({sequence[at : at + 4] for at in range(len(sequence) - 3)}) >= WORDS
