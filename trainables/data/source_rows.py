"""Where the rows of a data set stand in the files that they were read from."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class SourceRows:
    """The row of a file, or of a part of it, that each of N rows was.

    names: of the files or parts, in their order. starts: the first row of each among all that were read. rows: (N,) among these.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, names: Sequence[str], lengths: Sequence[int]) -> SourceRows:
        """All rows of parts of some lengths, one after the other."""
        starts = np.cumsum([0, *lengths]).tolist()
        return cls(tuple(names), tuple(starts[:-1]), np.arange(starts[-1]))

    def at(self, kept: NDArray[np.int64]) -> SourceRows:
        """Those of some of the rows."""
        return dataclasses.replace(self, rows=self.rows[kept])

    def place(self, row: int) -> tuple[str, int]:
        """The name of the part that a row stands in, and its number in that, from 1: a table's header is not counted."""
        of_all = int(self.rows[row])
        part = bisect.bisect_right(self.starts, of_all) - 1
        return self.names[part], of_all - self.starts[part] + 1

    def one(self, row: int) -> str:
        """A row for people: row 7 of a.tsv."""
        name, number = self.place(row)
        return f"row {number} of {name}"

    def two(self, row: int, other: int) -> str:
        """Two rows for people: rows 7 and 3 of a.tsv."""
        (name, number), (others, another) = self.place(row), self.place(other)
        if name == others:
            return f"rows {number} and {another} of {name}"
        return f"row {number} of {name} and row {another} of {others}"
