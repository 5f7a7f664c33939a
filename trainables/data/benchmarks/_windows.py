"""References around elements, and windows cut from them."""

from __future__ import annotations

import collections
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, one_line, quoted
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.letters import letter_findings
from nrtune.trainables.data.sequences import N_TOKEN, to_tokens, without_uracil
from nrtune.trainables.data.tables import NUMBER, read_text

REFERENCES = "references.json"


def distinct_windows(both: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Of (V, 2, length) ref and alt windows each distinct one once, (W, length), and which of them each ref and alt is."""
    windows, inverse = np.unique(both.reshape(-1, both.shape[2]), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1, 2)
    return windows, np.ascontiguousarray(inverse[:, 0]), np.ascontiguousarray(inverse[:, 1])


def padded_reference(tokens: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """A reference with N around it: the window of `length` bases around base i begins at i, and has it at length // 2."""
    ahead, behind = np.full(length // 2, N_TOKEN, np.uint8), np.full(length, N_TOKEN, np.uint8)
    return np.concatenate([ahead, tokens, behind])


def read_references(path: Path) -> dict[str, dict[str, Any]]:
    """The sequence around each element: chrom, start (1-based), its tokens and, where it says so, cell_line. Raises UserError.

    rna, lower: whether the sequence is written with U, which was taken for T, and with lower case.
    """
    text = read_text(path, "the sequence around each element: nrtune data fetch hg19-windows has hg19's")
    try:
        references = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: must be JSON ({one_line(error)}); {_SHAPE}") from error
    if not isinstance(references, dict):
        raise UserError(f"{path}: holds no elements by name; {_SHAPE}")
    return {name: _reference(f"{path}: {quoted(name)}", record) for name, record in references.items()}


_SHAPE = "give each element's chrom, start and sequence"
_LAST = 2**40
"""No position of a genome is beyond this."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a name that it has twice, of which JSON's reader takes the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, n in collections.Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"{quoted(twice)} is there twice")
    return found


def _reference(where: str, record: Any) -> dict[str, Any]:
    """One element's, as of `read_references`. Raises UserError with `where`."""
    given = dict(record) if isinstance(record, dict) else {}
    if missing := [name for name in ("chrom", "start", "sequence") if name not in given]:
        raise UserError(f"{where}: has no {missing[0]}; {_SHAPE}")
    start, chrom, sequence, line = (given.get(name) for name in ("start", "chrom", "sequence", "cell_line"))
    if isinstance(start, str) and NUMBER.fullmatch(start.strip()):
        start = float(start)
    if isinstance(start, bool) or not isinstance(start, int | float) or not 1 <= start <= _LAST or start != int(start):
        raise UserError(
            f"{where}: start is {quoted(start)!r}; give the position of the sequence's first base, from 1 on"
        )
    if isinstance(chrom, bool) or not isinstance(chrom, str | int) or not str(chrom).isprintable():
        raise UserError(f"{where}: chrom is {quoted(chrom)!r}; give a chromosome's name")
    if not isinstance(sequence, str) or not sequence:
        raise UserError(f"{where}: sequence is no text of bases; {_SHAPE}")
    if line is not None and not (isinstance(line, str) and line.isprintable()):
        raise UserError(f"{where}: cell_line is {quoted(line)!r}; give one name")
    plain, rna = without_uracil([sequence])
    letters = {"rna": rna, "lower": sequence != sequence.upper(), "tokens": to_tokens(plain, where)[0]}
    return {**given, "start": int(start), "chrom": str(chrom), **letters}


def letters_of_references(where: str, references: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """What is found of letters of references that were taken for others."""
    names = list(references)
    rna, lower = (np.array([bool(references[name][of]) for name in names], bool) for of in ("rna", "lower"))
    return letter_findings(f"{where}, {REFERENCES}", rna, lower, what="references", example=names.__getitem__)


def told_cell_lines(references: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The cell lines that references name, of the elements of which they do."""
    return {name: str(record["cell_line"]).strip() for name, record in references.items() if record.get("cell_line")}


def sequence_windows(
    ref: Sequence[str], alt: Sequence[str], length: int, where: str, rows: Sequence[int] | None = None
) -> NDArray[np.uint8]:
    """(V, 2, length) windows of sequences: in the middle, N around them. Raises UserError for one that is longer, or empty.

    rows: their numbers in the table that they are of, from 0; None for 0, 1, ….
    """
    both = np.full((len(ref), 2, length), N_TOKEN, np.uint8)
    for row, pair in enumerate(zip(ref, alt, strict=True)):
        of_table = row + 1 if rows is None else rows[row] + 1
        if len(pair[0]) != len(pair[1]):
            raise UserError(
                f"{where}: row {of_table}: the sequences have {len(pair[0])} and {len(pair[1])} bases; give both of one length,"
                " such as the whole oligonucleotides, so that what surrounds the variant lies in one place"
            )
        for number, sequence in enumerate(pair):
            place = f"{where}: row {of_table}, {('ref', 'alt')[number]}_seq"
            if not 0 < len(sequence) <= length:
                raise UserError(
                    f"{place}: has {len(sequence)} bases; the models are of {length}, and shorter ones are padded with N"
                )
            start = (length - len(sequence)) // 2
            both[row, number, start : start + len(sequence)] = to_tokens([sequence], place)[0]
    return both
