"""Trials as a Parquet file: typed columns, each with its unit, and what else a reader must know in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from nrtune.analysis.sources.trials import RecordedTrials, Trials
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.store.shapes import RECORD, any_number
from nrtune.analysis.store.table import LEADING, split_columns
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.shape import EACH, check_shape, one_of, parse_json
from nrtune.trainables.evaluation.stored import read_columns

KEY = b"nrtune"
FORMAT = 1
MOST_CELLS = 10_000_000
_ABOUT = {
    "format": int,
    "name": str,
    "select_on": one_of("release", "val", "challenge"),
    "references": {EACH: {EACH: any_number}},
    "matched": [str],
    "objectives?": [str],
    "encoders?": [str],
}

_TYPES = {
    **dict.fromkeys(("epochs_trained", "attempts", "micro_batches"), pa.int64()),
    **dict.fromkeys(("seconds", "cpu_seconds", "gpu_seconds"), pa.float64()),
    "ended": pa.timestamp("s", tz="UTC"),
}
_UNITS = {
    "epochs_trained": "epochs",
    "seconds": "s",
    "cpu_seconds": "s",
    "gpu_seconds": "s",
    "ended": "UTC",
    "epochs": "epochs",
    "batch_size": "sequences",
    "best_epoch": "epoch",
}


def unit(column: str) -> str:
    """The unit of a column of trials; "" for text and for plain numbers."""
    last = column.rpartition("/")[2]
    if column in _UNITS:
        return _UNITS[column]
    if last == "mse":
        return "(model output - log2(RNA/DNA))^2"
    if "/n/" in column:
        return "variants"
    return "correlation" if "/" in column else ""


def to_arrow(source: Trials, table: pd.DataFrame) -> pa.Table:
    """A table of the source's trials with typed columns, their units as field metadata, and the source's own metadata."""
    fields, arrays, whole = [], [], _whole_parameters(source)
    for name in table.columns:
        kind, values = _typed(name, table[name], whole=name in whole)
        fields.append(pa.field(name, kind, metadata={"unit": unit(name)} if unit(name) else None))
        arrays.append(pa.array(values, kind))
    about = {
        "format": FORMAT,
        "name": source.name,
        "select_on": source.select_on,
        "matched": source.matched,
        "objectives": source.objectives,
        "encoders": source.encoders,
        "references": source.references(),
    }
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata={KEY: json.dumps(about).encode()}))


def open_parquet(path: Path) -> Trials:
    """Open what `to_arrow` made and a file holds. Raises UserError for anything else."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; write one with: nrtune trials DIR --format parquet > FILE")
    try:
        stored = read_columns(path, (), MOST_CELLS)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: is not a Parquet file of trials ({one_line(error)})") from error
    try:
        about = parse_json((stored.schema.metadata or {}).get(KEY, b"{}"), _ABOUT, not_finite=True)
    except ValueError as error:
        raise UserError(f"{path}: is not a table of trials that this nrtune wrote ({one_line(error)})") from error
    if about.get("format") != FORMAT or not set(LEADING) <= set(stored.column_names):
        raise UserError(f"{path}: is not a table of trials that this nrtune wrote")
    rows = stored.to_pylist()
    parameters, metrics = split_columns(stored.column_names)
    records: dict[str, TrialRecord] = {}
    for number, row in enumerate(rows, start=1):
        if row["same_as"] is None:
            try:
                records[row["name"]] = _record(row, parameters, metrics)
            except (ValueError, TypeError, AttributeError) as error:
                raise UserError(f"{path}: row {number} is damaged ({one_line(error)})") from error
    for row in rows:
        if row["same_as"] in records:
            record = records[row["same_as"]]
            records[record.name] = record.known_as(row["name"], row["family"])
    return RecordedTrials(
        about["name"],
        about["select_on"],
        list(records.values()),
        about["references"],
        matched=about["matched"],
        objectives=about.get("objectives", ()),
        encoders=about.get("encoders", ()),
    )


def _record(row: dict[str, Any], parameters: list[str], metrics: list[str]) -> TrialRecord:
    ended = row["ended"].isoformat(timespec="seconds")
    fields = dict(
        name=row["name"],
        family=row["family"],
        number=-1,
        fingerprint=row["fingerprint"],
        status=row["status"],
        config={name: row[name] for name in parameters if row[name] is not None},
        metrics={name: row[name] for name in metrics if row[name] is not None},
        epochs_trained=row["epochs_trained"],
        seconds=row["seconds"],
        started=ended,
        ended=ended,
        published=row["published"],
        failure_class=row["failure_class"],
        replicate_of=row["replicate_of"],
        **{name: row[name] for name in ("attempts", "micro_batches", "cpu_seconds", "gpu_seconds")},
    )
    check_shape(fields, RECORD)
    return TrialRecord.from_flat(**fields)


def _whole_parameters(source: Trials) -> set[str]:
    """Parameters that are whole numbers; in a table, one that some trials lack has become a column of floats."""
    kinds: dict[str, set[type]] = {}
    for record in source.records():
        for name, value in record.config.items():
            if value is not None:
                kinds.setdefault(name, set()).add(type(value))
    return {name for name, found in kinds.items() if found == {int}}


def _typed(name: str, column: pd.Series[Any], *, whole: bool) -> tuple[pa.DataType, list[Any]]:
    """A column's type and its values, None for what is missing; a column of mixed types becomes text."""
    values = [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
    if name == "ended":
        return _TYPES[name], [None if value is None else pd.Timestamp(value) for value in values]
    if name in _TYPES:
        return _TYPES[name], values
    kinds = {type(value) for value in values if value is not None}
    if not kinds or kinds == {str}:
        return pa.string(), values
    if kinds == {bool}:
        return pa.bool_(), values
    if kinds <= {int, float}:
        if whole:
            return pa.int64(), [None if value is None else int(value) for value in values]
        return pa.float64(), [None if value is None else float(value) for value in values]
    return pa.string(), [None if value is None else str(value) for value in values]
