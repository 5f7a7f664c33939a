"""Sequences as tokens: A C G T N are 0 to 4, one byte a base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError

BASES = "ACGTN"
N_TOKEN = 4
_INVALID = 255

_TOKEN_OF_BYTE = np.full(256, _INVALID, np.uint8)
for _token, _base in enumerate(BASES):
    _TOKEN_OF_BYTE[[ord(_base), ord(_base.lower())]] = _token

_AMBIGUOUS = "RYSWKMBDHV"
"""IUPAC's letters for one of several bases."""

_TAKEN = str.maketrans("U" + _AMBIGUOUS, "T" + "N" * len(_AMBIGUOUS))

COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)
"""The token of the base opposite each token's."""
_BYTE_OF_TOKEN = np.frombuffer(BASES.encode(), np.uint8)


def to_tokens(sequences: Sequence[str], where: str) -> NDArray[np.uint8]:
    """Return (n, length) tokens of sequences that share one length; lower case counts as upper.

    Raises UserError, with `where` and the row, for another letter or another length.
    """
    if not sequences:
        return np.empty((0, 0), np.uint8)
    length = len(sequences[0])
    for row, sequence in enumerate(sequences):
        if len(sequence) != length:
            raise UserError(
                f"{where}: row {row + 1} has {len(sequence)} bases and the first {length}; pad them to one length with N"
            )
    joined = "".join(sequences).encode("utf-8", "replace")
    if len(joined) != len(sequences) * length:
        row = next(i for i, sequence in enumerate(sequences) if not sequence.isascii())
        raise UserError(f"{where}: row {row + 1} has a letter outside ACGTN")
    tokens = _TOKEN_OF_BYTE[np.frombuffer(joined, np.uint8)].reshape(len(sequences), length)
    wrong = np.argwhere(tokens == _INVALID)
    if len(wrong):
        row, position = (int(i) for i in wrong[0])
        letter = sequences[row][position]
        raise UserError(f"{where}: row {row + 1} has {letter!r} at position {position + 1}; only A C G T N are bases")
    return tokens


class Letters(NamedTuple):
    """A sequence in upper case, of how many U that were taken for T and of ambiguous letters that were taken for N."""

    text: str
    uracils: int
    ambiguous: int


def taken(sequence: str) -> Letters:
    """Take U for T and the letters of IUPAC that stand for several bases for N; others stay, and `to_tokens` refuses them."""
    upper = sequence.upper()
    text = upper.translate(_TAKEN)
    if text == upper:
        return Letters(text, 0, 0)
    uracils = upper.count("U")
    return Letters(text, uracils, sum(map(upper.count, _AMBIGUOUS)))


def without_uracil(sequences: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
    """Sequences with T for each U, in either case, and (n,) which had some."""
    rna = np.array(["U" in sequence or "u" in sequence for sequence in sequences], bool)
    return [sequence.replace("U", "T").replace("u", "t") for sequence in sequences], rna


def padded_tokens(sequences: Sequence[str], length: int, where: str) -> NDArray[np.uint8]:
    """Return (n, length) tokens of sequences that are no longer: shorter ones stand in the middle of N.

    Raises UserError, with `where` and the row, for another letter.
    """
    if all(len(sequence) == length for sequence in sequences):
        return to_tokens(sequences, where)
    padded = [sequence.rjust((length + len(sequence)) // 2, "N").ljust(length, "N") for sequence in sequences]
    wrong = next((row for row, sequence in enumerate(sequences) if set(sequence.upper()) - set(BASES)), None)
    if wrong is not None:
        to_tokens([*padded[:wrong], sequences[wrong].ljust(length, "N")], where)  # whose position is the sequence's own
    return to_tokens(padded, where)


def to_text(tokens: NDArray[np.uint8]) -> str:
    """Return the bases of one sequence's tokens (length,)."""
    return _BYTE_OF_TOKEN[tokens].tobytes().decode()


def reverse_complement(tokens: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the other strand of tokens (..., length); N stays N."""
    return np.ascontiguousarray(COMPLEMENT[tokens[..., ::-1]])
