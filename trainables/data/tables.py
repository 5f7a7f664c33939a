"""Files that users give, read whole: packed or not, as text, or as a table of texts. What is wrong with one is a UserError."""

from __future__ import annotations

import bz2
import codecs
import csv
import io
import re
import zlib
from contextlib import suppress
from pathlib import Path

import pandas as pd

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.given import check_file
from nrtune.trainables.data.streams import check_end, unpacked

FORMATS = "CSV or TSV, plain, .gz or .bz2, or Parquet"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""What is a number in a cell: Python's own reading takes 1_0 for 10, too."""
NOTHING = frozenset({"", ".", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "#n/a"})
"""Cells, in lower case, that hold nothing."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
"""Characters that no text has."""
_SEPARATORS = "\t,;"


def read_bytes(path: Path, what: str) -> bytes:
    """A file's content, unpacked where it is packed with gzip or bzip2, whatever its name.

    what: what should be there, for errors.
    """
    check_file(path, what)
    try:
        content = unpacked(path)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); give {what}") from error
    with content:
        try:
            check_end(path)
            return content.read()
        except (OSError, EOFError, zlib.error) as error:
            if isinstance(error, OSError) and error.strerror:
                raise UserError(f"{path}: can't be read ({error.strerror}); give {what}") from error
            packed = ".bz2" if isinstance(content, bz2.BZ2File) else ".gz"
            raise UserError(f"{path}: is a damaged {packed} file; write or fetch it again") from error


def read_text(path: Path, what: str) -> str:
    """A text file's content without a byte-order mark, unpacked where it is packed."""
    return _decoded(path, read_bytes(path, what), f"give {what}")


def read_table(path: Path, what: str) -> pd.DataFrame:
    """A table with a header, its cells as texts; of Parquet as they are stored.

    What separates the columns, a tab, a comma or a semicolon, is what the header has most of. Lines that are blank or start with
    ## are no rows, and a # before the header does not count.
    """
    content = read_bytes(path, what)
    if content.startswith(b"PAR1"):
        return _parquet(path, content)
    text = _decoded(path, content, f"give {FORMATS}")
    lines = [line for line in io.StringIO(text, newline=None) if line.strip() and not line.startswith("##")]
    if not lines:
        raise UserError(f"{path}: is empty; give {FORMATS}")
    header = lines[0].lstrip("#")
    try:
        names, *rows = csv.reader([header, *lines[1:]], delimiter=max(_SEPARATORS, key=header.count))
    except csv.Error as error:
        raise UserError(f"{path}: is no table that nrtune reads ({error}); give {FORMATS}") from error
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise UserError(f"{path}: row {number} has {len(row)} columns, its header {len(names)}; mend the row")
    return pd.DataFrame(rows, columns=names, dtype=object)


def _decoded(path: Path, content: bytes, advice: str) -> str:
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):  # the last as Windows' programs save names
        with suppress(UnicodeDecodeError):
            text = content.decode(encoding)
            if not _CONTROL.search(text):
                return text
    raise UserError(f"{path}: is no text; {advice}")


def _parquet(path: Path, content: bytes) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: is a damaged Parquet file; write or fetch it again") from error
    return table
