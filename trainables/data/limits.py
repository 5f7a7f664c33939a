"""How much a file may hold for its size: what says more is damaged, or made to fill the memory, and is refused before it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nrtune.trainables.core.errors import UserError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MEMORY = 1 << 30
"""Bytes of memory that any table may take, however well it is packed, and"""
EXPANSION = 100
"""bytes that each of its own may come to: DNA, and numbers beside it, come to 10 to 50."""
ROWS = 300_000
"""Rows that any file may hold, and"""
ROW = 8
"""bytes that each further row has at least, packed: a sequence of 230 bases takes 58."""
BASES = 1 << 28
"""Bases that any file may hold, with those that are filled with N, and"""
BASES_PER_BYTE = 20
"""bases for each byte of a file: packing comes to 4, to more where adapters and rows are alike."""
_CELL, _LETTER = 70, 4
"""Bytes of memory that a cell takes as a text of its own, and a letter on its way into it."""


def most_content(path: Path) -> int:
    """Bytes that a file may hold, unpacked."""
    return _memory(path) // _LETTER


def check_cells(path: Path, content: int, cells: int) -> None:
    """See that a table's bytes, unpacked, and its cells fit into memory. Raises UserError."""
    if _LETTER * content + _CELL * cells > _memory(path):
        raise _refusal(path, f"{cells:,} cells")


def check_rows(path: Path, rows: int) -> None:
    """See that a file is not too small for its rows. Raises UserError."""
    if rows > max(ROWS, _size(path) // ROW):
        raise _refusal(path, f"{rows:,} rows")


def rows_of(metadata: pq.FileMetaData) -> int:
    """The rows that a reader of a Parquet file would make room for: those of its groups, of which the file itself may say less.

    Raises ValueError where it does.
    """
    rows: int = sum(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    if rows != metadata.num_rows:
        raise ValueError(f"tells of {metadata.num_rows} rows and has {rows}")
    return rows


def check_bases(path: Path, rows: int, length: int) -> None:
    """See that a file is not too small for its sequences, each filled to the longest one's length. Raises UserError."""
    if rows * length > max(BASES, _size(path) * BASES_PER_BYTE):
        raise _refusal(path, f"{rows:,} sequences of up to {length:,} bases")


def refuse_content(path: Path) -> UserError:
    """What is said of a packed file that holds more than `most_content`."""
    return _refusal(path, f"more than {most_content(path):,} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size


def _memory(path: Path) -> int:
    return max(MEMORY, _size(path) * EXPANSION)


def _refusal(path: Path, what: str) -> UserError:
    return UserError(f"{path}: holds {what} in {_size(path):,} bytes, as no measurements do; write or fetch it again")
