"""Whether the rows of a file of predictions are a folder's variants, or are so only once they are shifted or complemented."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import quoted
from nrtune.trainables.data.alleles import AGREEING, Explanation, bases_at, explain, letters_of
from nrtune.trainables.data.benchmarks import ALT, REF
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.sequences import N_TOKEN

ROWS_ELSEWHERE = "rows-elsewhere"

_SPAN = 10_000
"""Bases of the longest element of which a shift by more than a few bases is looked for."""

_APART = 128
"""Places that are further apart than this are taken to be so far: more than alleles are long and positions are tried at."""


def rows_elsewhere(where: str, found: pd.DataFrame, known: pd.DataFrame) -> Iterator[Finding]:
    """What is found, an element each, where a file's refs are not the folder's at its positions, or its rows are not numbered so.

    found, known: columns element, pos, ref, alt, and chrom where a position alone names no variant; the file's and the folder's.
    """
    by = ["element", "chrom"] if "chrom" in found else ["element"]
    of_folder = dict(list(known.groupby(by)))
    for name, rows in found.groupby(by):
        if name not in of_folder:
            continue
        if (finding := _of_element(f"{where}, {' '.join(map(quoted, name))}", rows, of_folder[name])) is not None:
            yield finding


def _of_element(where: str, rows: pd.DataFrame, known: pd.DataFrame) -> Finding | None:
    if ((known["ref"] == REF) & (known["alt"] == ALT)).all():
        return _misnumbered(where, rows, known)
    offset, tokens = _laid(rows["pos"].to_numpy(np.int64), known)
    ref, alt = letters_of(rows["ref"].tolist()), letters_of(rows["alt"].tolist())
    there = bases_at(tokens, offset) != N_TOKEN
    agrees = rows["ref"].to_numpy() == _folders_ref(rows, known)
    if there.any() and agrees.sum() >= AGREEING * there.sum():
        return None
    why = explain(ref, alt, offset, tokens, far=len(tokens) <= _SPAN, sparse=True)
    if why is None and not there.any():
        return None  # rows of other positions, which are left out and counted
    first = int((there & ~agrees).argmax() if there.any() else 0)
    return _finding(where, rows.iloc[first], why, int(agrees.sum()), len(rows))


def _finding(where: str, row: pd.Series[str], why: Explanation | None, agreeing: int, rows: int) -> Finding:
    if why is None:
        what, advice = "Ref is not the folder's at its positions", "give its positions, and its alleles"
    else:
        what, advice = f"Ref is not the folder's at its positions: {why.because(rows)}", why.advice
    return Finding(
        id=ROWS_ELSEWHERE,
        severity="error",
        what=what,
        where=where,
        count=rows - agreeing,
        of=rows,
        example=f"{row['pos']} {quoted(row['ref'], 20)}>{quoted(row['alt'], 20)}",
        advice=advice,
    )


def _misnumbered(where: str, rows: pd.DataFrame, known: pd.DataFrame) -> Finding | None:
    """Rows of sequences, which go by their number: those that begin with 0 would all be taken for the ones before."""
    numbers, there = rows["pos"].to_numpy(np.int64), known["pos"].to_numpy(np.int64)
    as_given = int(np.isin(numbers, there).sum())
    for shift in (1, -1):
        if as_given < len(numbers) and np.isin(numbers + shift, there).all():
            low = "low: they begin with 0?" if shift > 0 else "high: the header is counted?"
            return Finding(
                id=ROWS_ELSEWHERE,
                severity="error",
                what=f"the rows' numbers in column pos are 1 too {low}",
                where=where,
                count=len(numbers) - as_given,
                of=len(numbers),
                example=str(numbers[~np.isin(numbers, there)][0]),
                advice="number them from 1 on, as the table's rows",
            )
    return None


def _laid(pos: NDArray[np.int64], known: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """(n,) offsets of positions in tokens that hold the folder's refs where it has some, and N elsewhere."""
    sites, refs = known["pos"].to_numpy(np.int64), known["ref"].tolist()
    if sites.max() - sites.min() <= _SPAN - _APART:
        offset, place = pos - sites.min(), sites - sites.min()
    else:
        every, inverse = np.unique(np.concatenate([sites, pos]), return_inverse=True)
        laid = np.concatenate([[0], np.cumsum(np.minimum(np.diff(every), _APART))])[inverse]
        place, offset = laid[: len(sites)], laid[len(sites) :]
    letters = letters_of(refs)
    tokens = np.full(int(place.max()) + letters.shape[1], N_TOKEN, np.uint8)
    for column in range(letters.shape[1]):
        bases = letters[:, column] < N_TOKEN
        tokens[place[bases] + column] = letters[bases, column]
    return offset, tokens


def _folders_ref(rows: pd.DataFrame, known: pd.DataFrame) -> NDArray[np.object_]:
    """(n,) the folder's ref at each row's position, the row's own where it has that too, else None."""
    has = set(zip(known["pos"], known["ref"], strict=True))
    of = dict(zip(known["pos"], known["ref"], strict=True))
    found = [ref if (pos, ref) in has else of.get(pos) for pos, ref in zip(rows["pos"], rows["ref"], strict=True)]
    return np.array(found, object)
