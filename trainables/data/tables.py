"""Files that users give, read whole: packed or not, as text, or as a table of texts. What is wrong with one is a UserError."""

from __future__ import annotations

import bz2
import codecs
import csv
import io
import itertools
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.given import check_file
from nrtune.trainables.data.findings import count_of
from nrtune.trainables.data.limits import check_cells, check_rows, most_content, refuse_content, rows_of
from nrtune.trainables.data.streams import check_end, unpacked

FORMATS = "CSV or TSV, plain, .gz or .bz2, or Parquet"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""What is a number in a cell: Python's own reading takes 1_0 for 10, too."""
NOTHING = frozenset({"", ".", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "#n/a"})
"""Cells, in lower case, that hold nothing."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
"""Characters that no text has."""
ROW_NAMES = "row names"
"""What the first column of a table is called whose header leaves it out."""
_BASES = re.compile("[ACGTUN]{4,}", re.IGNORECASE)
_SEPARATORS = "\t,;|"


def read_bytes(path: Path, what: str) -> bytes:
    """A file's content, unpacked where it is packed with gzip or bzip2, whatever its name.

    what: what should be there, for errors. Raises UserError, also for a small file that unpacks to a large one.
    """
    check_file(path, what)
    try:
        content = unpacked(path)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); give {what}") from error
    with content:
        try:
            check_end(path)
            most = most_content(path)
            found = content.read(most + 1)
        except (OSError, EOFError, zlib.error) as error:
            if isinstance(error, OSError) and error.strerror:
                raise UserError(f"{path}: can't be read ({error.strerror}); give {what}") from error
            packed = ".bz2" if isinstance(content, bz2.BZ2File) else ".gz"
            raise UserError(f"{path}: is a damaged {packed} file; write or fetch it again") from error
    if len(found) > most:
        raise refuse_content(path)
    return found


def read_text(path: Path, what: str) -> str:
    """A text file's content without a byte-order mark, unpacked where it is packed."""
    content = read_bytes(path, what)
    return content.decode(_encoding(path, content, f"give {what}"))


def read_table(path: Path, what: str, said: list[str] | None = None) -> pd.DataFrame:
    """A table with a header, its cells as texts; of Parquet as they are stored.

    What separates the columns, a tab, a comma, a semicolon or a bar, is what the header has most of; spaces, where it has none of
    these. Lines that are blank or start with ## are no rows, and a # before the header does not count. said: takes what is to be
    said of a header that has a name less than the rows have columns, as R writes it; such is refused without.
    """
    content = read_bytes(path, what)
    if content.startswith(b"PAR1"):
        return _parquet(path, content)
    encoding = _encoding(path, content, f"give {FORMATS}")
    lines = (line for line in io.TextIOWrapper(io.BytesIO(content), encoding) if line.strip())
    lines = (line for line in lines if not line.startswith("##"))
    header = next(lines, "").lstrip("#")
    if not header.strip():
        raise UserError(f"{path}: is empty; give {FORMATS}")
    if (separator := separator_of(header)) == " ":
        header, lines = header.strip(), (line.strip() for line in lines)
    count = max(content.count(b"\n"), content.count(b"\r"))
    check_rows(path, count)
    check_cells(path, len(content), count + content.count(separator.encode()))
    try:
        names, *rows = csv.reader(
            itertools.chain([header], lines), delimiter=separator, skipinitialspace=separator == " "
        )
    except csv.Error as error:
        raise UserError(f"{path}: is no table that nrtune reads ({error}); give {FORMATS}") from error
    if said is not None and (layout := _mended(names, rows)):
        said.append(layout)
    _check_rows(path, names, rows, separator)
    return pd.DataFrame(rows, columns=names, dtype=object)


def _mended(names: list[str], rows: list[list[str]]) -> str | None:
    """Give a header the name, or rows the end, that all of them show it to lack; says which, or None where nothing was done."""
    if not rows or any(len(row) != len(names) + 1 for row in rows):
        return None
    if all(not row[-1].strip() for row in rows):
        for row in rows:
            row.pop()
        return "every row ends with a separator, its header does not"
    first = [row[0].strip() for row in rows]
    if "" in first or len(set(first)) < len(first) or any(_BASES.fullmatch(cell) for cell in first):
        return None
    names.insert(0, ROW_NAMES)
    return "its header has a name less than its rows have columns: the first are row names, as R writes them"


def separator_of(header: str) -> str:
    """What separates a table's columns: what its header has most of; a space, where it has nothing else."""
    separator = max(_SEPARATORS, key=header.count)
    return " " if separator not in header and " " in header.strip() else separator


def _check_rows(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]], separator: str) -> None:
    """See that a table's rows have its columns, and that no cell has swallowed other rows. Raises UserError."""
    if rows and all(len(row) == len(names) + 1 for row in rows):
        raise UserError(
            f"{path}: every row has {len(names) + 1} columns, and its header {len(names)}; name the first, too (R leaves it out:"
            " write.table(…, row.names=FALSE))"
        )
    for number, row in enumerate(rows, start=1):
        if any("\n" in cell and cell.count(separator) >= len(names) - 1 for cell in row):
            raise UserError(
                f"{path}: row {number} has a quotation mark that is not closed in its line, so that the next rows are a part of"
                " it; mend the row"
            )
        if len(row) != len(names):
            raise UserError(
                f"{path}: row {number} has {count_of(len(row), 'column')}, its header {len(names)}; mend the row"
            )


def _encoding(path: Path, content: bytes, advice: str) -> str:
    """How a text is written. Raises UserError for what is none."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):  # the last as Windows' programs save names
        with suppress(UnicodeDecodeError):
            if not _CONTROL.search(content.decode(encoding)):
                return encoding
    raise UserError(f"{path}: is no text; {advice}")


def _parquet(path: Path, content: bytes) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        parts = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        check_rows(path, rows_of(file.metadata))
        check_cells(path, 0, sum(part.column(place).num_values for part in parts for place in range(part.num_columns)))
        # Texts that are stored once are kept once.
        texts = [
            field.name
            for field in file.schema_arrow
            if pa.types.is_string(field.type) or pa.types.is_binary(field.type)
        ]
        table = pq.read_table(io.BytesIO(content), read_dictionary=texts).to_pandas(ignore_metadata=True)
    except UserError:
        raise
    except (pa.ArrowException, OSError, ArithmeticError, LookupError, MemoryError, ValueError) as error:  # names, too
        raise UserError(f"{path}: is a damaged Parquet file; write or fetch it again") from error
    found: pd.DataFrame = table.astype({name: object for name in texts if table.columns.tolist().count(name) == 1})
    return found
