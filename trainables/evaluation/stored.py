"""Predictions as a Parquet file: it tells whose they are, and a digest of each column, and both are seen to when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import TEST, predictions_file
from nrtune.trainables.core.given import check_file
from nrtune.trainables.core.shape import EACH, DamagedFile, parse_json
from nrtune.trainables.data.limits import rows_of

if TYPE_CHECKING:
    import pyarrow as pa

KEY = b"nrtune"
"""In a file's metadata: the trial, or the non-neural baseline, that predicted, and the digests of columns."""
MOST_CELLS, MOST_LETTERS = 50_000_000, 1 << 28
PREDICTED = ("prediction", "calibrated_prediction", "ref_prediction", "alt_prediction", "variant_effect")
"""Columns of numbers that are finite, or nothing can be made of the file."""
_NEEDED = {True: ("activity", "prediction"), False: ("element", "part", "value", "variant_effect")}
"""What a file of TEST has, and what one of a benchmark."""
_TEXTS = frozenset({"element", "part", "stratum", "chrom", "ref", "alt"})
_NUMBERS = frozenset({*PREDICTED, "activity", "aleatoric_std", "value", "pos", "confidence"})
_ABOUT = {"of": str, "columns": {EACH: str}}


def write_predictions(path: Path, table: pd.DataFrame, of: str) -> None:
    """Write a table of predictions. of: the fingerprint of the trial that predicted, or the non-neural baseline's name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    about = {"of": of, "columns": {name: _digest(arrow.column(name)) for name in arrow.column_names}}
    pq.write_table(arrow.replace_schema_metadata({**arrow.schema.metadata, KEY: json.dumps(about).encode()}), path)


def read_stored(path: Path, of: str | None, left_out: Collection[str] = ()) -> pd.DataFrame:
    """Read what `write_predictions` wrote, but for columns that are left out. of: whose they must be; None: anybody's.

    Files of before they told whose they are count as whose they must be. Raises DamagedFile for any other content, what was
    altered, and predictions that are not finite.
    """
    import pyarrow as pa

    try:
        if path.is_dir():
            raise ValueError("it is a folder")
        check_file(path, "a file of predictions")
        table = read_columns(path, left_out, MOST_CELLS)
        _check_columns(table.schema, is_test=path.name == predictions_file(TEST))
        _check_about(table.schema.metadata or {}, table, of)
        found: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        for name in PREDICTED:
            if name in found and not (finite := np.isfinite(found[name].to_numpy(np.float64, na_value=np.nan))).all():
                raise ValueError(f"{name}: is not finite in row {int((~finite).argmax()) + 1}")
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError) as error:
        raise DamagedFile(f"{path}: is damaged ({one_line(error)}), so its predictions don't count") from error
    return found


def read_columns(path: Path, left_out: Collection[str], most_cells: int) -> pa.Table:
    """Read a Parquet file's columns of numbers, texts and moments, but for those that are left out.

    Raises ValueError for columns of other kinds and, before they are read, for more than so many cells; and what pyarrow raises.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, rows_of(file.metadata)
    wanted = [name for name in schema.names if name not in left_out]
    if rows * len(wanted) > most_cells:
        raise ValueError(f"tells of {rows} rows")
    for name in wanted:
        if schema.names.count(name) > 1:
            raise ValueError(f"{name}: is there twice")
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or not (pa.types.is_primitive(kind) or pa.types.is_null(kind) or _is_text(kind)):
            raise ValueError(f"{name}: is of type {kind}")
    texts = [name for name in wanted if _is_text(schema.field(name).type)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        table = file.read(columns=wanted)
    letters = 0
    for name in texts:
        column = table.column(name)
        letters += _letters(column)
        if letters > MOST_LETTERS:
            raise ValueError(f"{name}: has texts of {letters} letters, with what is before it")
        table = table.set_column(wanted.index(name), name, column.cast(pa.string()))
    return table


def _check_columns(schema: pa.Schema, *, is_test: bool) -> None:
    import pyarrow as pa

    if missing := [name for name in _NEEDED[is_test] if name not in schema.names]:
        raise ValueError(f"{missing[0]}: is missing")
    for name in schema.names:
        kind = schema.field(name).type
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        text = _is_text(kind) or pa.types.is_null(kind)  # of no rows
        if not (number or text or pa.types.is_boolean(kind)) or (name in _NUMBERS and not number):
            raise ValueError(f"{name}: is of type {kind}")
        if name in _TEXTS and not text:
            raise ValueError(f"{name}: is of type {kind}")


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _letters(column: pa.ChunkedArray) -> int:
    """Bytes of a column's texts, each of which was read once."""
    import pyarrow.compute as pc

    lengths = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    return sum(pc.sum(of_chunk).as_py() or 0 for of_chunk in lengths)


def _check_about(metadata: Mapping[bytes, bytes], table: pa.Table, of: str | None) -> None:
    if KEY not in metadata:
        return
    about = parse_json(metadata[KEY], _ABOUT)
    if of is not None and about["of"] != of:
        raise ValueError(f"is of another trial, {about['of']}")
    for name in table.column_names:
        if about["columns"].get(name) != _digest(table.column(name)):
            raise ValueError(f"{name}: was altered since nrtune wrote it")


def _digest(column: pa.ChunkedArray) -> str:
    """16 hex digits of a column's type and values."""
    if _is_text(column.type):
        kind, content = "text", json.dumps(column.to_pylist()).encode()
    else:
        values: np.ndarray[Any, Any] = column.to_numpy()
        kind, content = values.dtype.str, np.ascontiguousarray(values).tobytes()
    return hashlib.blake2b(kind.encode() + content, digest_size=8).hexdigest()
