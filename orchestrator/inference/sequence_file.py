"""Plain sequences of a FASTA file, as a model is shown them: whole, between its adapters, or with N around."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.orchestrator.inference.seen import Kind, counted
from nrtune.trainables.core.errors import UserError, quoted
from nrtune.trainables.data.adapters import Adapters
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.sequences import N_TOKEN, taken, to_tokens
from nrtune.trainables.data.streams import readable, text_lines

_WHAT = "a FASTA file, a record a sequence, to --fasta-sequences"


class Shown(NamedTuple):
    """A sequence's name, its tokens (length,), N that it has, N that were put around it, bases of adapters that it was given."""

    name: str
    tokens: NDArray[np.uint8]
    n_bases: int
    padded: int
    adapter_bases: int


class SequenceFile:
    """The sequences of a FASTA file as a model is shown them; `findings` says what they had once they were all read.

    A sequence of the model's `length` is shown as it is. A shorter one gets the bases of `adapters` that it lacks, where they
    complete it; else N around it. U is taken for T, and ambiguous letters for N. Raises UserError for a longer sequence, another
    letter, and a file that is none.
    """

    def __init__(self, path: Path, length: int, adapters: Adapters | None) -> None:
        self._path, self._length, self._adapters = path, length, adapters
        self._count = collections.Counter[str]()
        self._example: dict[str, str] = {}
        self._lengths: set[int] = set()
        self._names: set[str] = set()
        self._records = 0

    def __iter__(self) -> Iterator[Shown]:
        for number, name, sequence in self._read():
            yield self._shown(number, name, sequence)
        if not self._records:
            raise UserError(f"{self._path}: holds no sequence; give {_WHAT}")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the sequences had that is to be said."""
        shortest, longest = min(self._lengths, default=0), max(self._lengths, default=0)
        lengths = str(longest) if shortest == longest else f"{shortest} to {longest}"
        padded = f"sequence{{s}} of {lengths} bases {{have}} N around {{it}}, as the model takes {self._length}"
        advice = ""
        if self._adapters is not None and (insert := self._adapters.insert(self._length)) < self._length:
            padded += f", or {insert} between its adapters"
            advice = "give inserts, or what is around them in the construct as well"
        trained = f"the adapters that the model was trained with ({self._adapters})"
        kinds: tuple[Kind, ...] = (
            ("sequences-mostly-n", "warning", "mostly_n", "sequence{s} {are} more than half N, as the model is shown {it}", ""),
            ("sequences-padded", "warning" if advice else "note", "padded", padded, advice),
            ("adapters-missing", "warning", "other_ends",
             f"sequence{{s}} of {self._length} bases lack{{v}} {trained} at the ends",
             "give inserts alone if these are no constructs"),
            ("between-adapters", "note", "between", f"sequence{{s}} {{were}} put between {trained}", ""),
            ("sequences-with-n", "note", "n", "sequence{s} hold{v} N", ""),
            ("ambiguous-letters", "note", "ambiguous", "sequence{s} {have} letters for several bases, taken for N", ""),
            ("u-for-t", "note", "rna", "sequence{s} {have} U, taken for T", ""),
            ("names-twice", "warning", "twice", "sequence{s} {have} the name of one before {it}", "rows are in the file's order"),
        )  # fmt: skip
        return tuple(counted(kinds, self._count, self._example, self._path.name, self._records))

    def _read(self) -> Iterator[tuple[int, str, str]]:
        """Line, name and sequence of each record; its whole header is the name."""
        name: str | None = None
        parts: list[str] = []
        first = 0
        for number, line in enumerate(text_lines(self._path, _WHAT), start=1):
            if line.startswith(">"):
                if name is not None:
                    yield first, name, "".join(parts)
                name, parts, first = readable(line[1:].strip()), [], number
            elif name is not None:
                parts.append("".join(line.split()))
            elif line.startswith("@"):
                raise UserError(f"{self._path}: line {number} begins with @, as FASTQ does; give {_WHAT}")
            elif line.strip() and not line.startswith(";"):
                raise UserError(
                    f"{self._path}: holds no sequence before line {number}, which does not begin with >; give {_WHAT}"
                )
        if name is not None:
            yield first, name, "".join(parts)

    def _shown(self, number: int, name: str, sequence: str) -> Shown:
        """A sequence as the model is shown it; what it has is counted."""
        self._records += 1
        label = quoted(name, 60) or f"the record of line {number}"
        if not 0 < len(sequence) <= self._length:
            raise UserError(
                f"{self._path}: {label} has {len(sequence)} bases; the model takes 1 to {self._length}: cut it to them"
            )
        letters = taken(sequence)
        tokens, padded, given = self._whole(f"{self._path}: {label}", letters.text)
        n_bases = int(np.count_nonzero(tokens == N_TOKEN)) - padded
        if padded:
            self._lengths.add(len(sequence))
        adapters = self._adapters or Adapters("", "")
        for kind, there in (
            ("rna", letters.uracils > 0),
            ("ambiguous", letters.ambiguous > 0),
            ("n", n_bases > 0),
            ("mostly_n", 2 * (n_bases + padded) > self._length),
            ("between", given > 0),
            ("padded", padded > 0),
            ("other_ends", len(sequence) == self._length and not adapters.of(letters.text)),
            ("twice", name in self._names),
        ):
            if there:
                self._count[kind] += 1
                self._example.setdefault(kind, label)
        self._names.add(name)
        return Shown(name, tokens, n_bases, padded, given)

    def _whole(self, where: str, sequence: str) -> tuple[NDArray[np.uint8], int, int]:
        """Tokens (length,) of a sequence, the N that were put around it, and the bases of adapters that it was given."""
        missing = self._length - len(sequence)
        whole = self._adapters.around(sequence, self._length) if self._adapters and missing else None
        own = to_tokens([sequence], where)[0]
        if whole is not None:
            return to_tokens([whole], where)[0], 0, missing
        tokens = np.full(self._length, N_TOKEN, np.uint8)
        tokens[missing // 2 : missing // 2 + len(sequence)] = own
        return tokens, missing, 0
