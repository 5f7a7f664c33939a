"""The two alleles, or sequences, of each row of a table: whether they differ, and whether they are of one place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks._agreement import ref_is_alt
from nrtune.trainables.data.findings import Finding, flagged, row_of
from nrtune.trainables.data.letters import letter_findings
from nrtune.trainables.data.sequences import BASES, N_TOKEN
from nrtune.trainables.data.variant_windows import bases

SEQUENCES = ("ref_seq", "alt_seq")
SEQUENCES_UNRELATED = "sequences-unrelated"

FEWEST = 24
"""Bases of sequences of which it is said: shorter ones are alike, or not, by chance."""
ALIKE = 0.5
"""The share of places with one base, a quarter of them by chance, that sequences of one place have; else they share"""
WORD = 12
"""bases in a row: an insertion moves what is behind it."""

_COMPLEMENT = str.maketrans(BASES, "TGCAN")


def of_bases(path: Path, table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[pd.DataFrame, list[Finding]]:
    """The table with alleles, or sequences, in upper case and with T for U; and what is found if some were not."""
    whole = table[columns[0]].str.cat(table[columns[1]])
    rna, lower = whole.str.contains("U", case=False).to_numpy(bool), (whole != whole.str.upper()).to_numpy(bool)
    of_sequences = columns == SEQUENCES
    found = letter_findings(
        path.name, rna, lower if of_sequences else None, what="sequences" if of_sequences else "alleles"
    )
    return table.assign(**{name: table[name].map(bases) for name in columns}), found


def without_equal_alleles(
    path: Path, table: pd.DataFrame, columns: tuple[str, ...]
) -> tuple[pd.DataFrame, list[Finding]]:
    """The rows whose two alleles, or sequences, differ; and what is found if some don't."""
    one, other = (table[name] for name in columns)
    same = (one == other).to_numpy(bool) & (one != "").to_numpy(bool)
    if same.all():
        raise UserError(f"{path}: {' and '.join(columns)} are the same in every row; give what was measured")
    found = ref_is_alt(path.name, same, f"row {table.index[int(same.argmax())] + 1}")
    return table[~same], found


def unrelated(where: str, ref: Sequence[str], alt: Sequence[str], rows: Sequence[int]) -> list[Finding]:
    """What is found where two sequences of a row, in upper case, have nothing in common. rows: their numbers, from 0."""
    apart = np.array([not _related(*pair) for pair in zip(ref, alt, strict=True)], bool)
    turned = sum(_related(ref[at], alt[at].translate(_COMPLEMENT)[::-1]) for at in np.flatnonzero(apart).tolist())
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
