"""Single files that are damaged, or made to fill memory or time: HDF5, packed tables, Parquet, settings."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 40
Spoil = Callable[[Path], object]


def table() -> str:
    """Measurements that are read as they are, of 30 bases."""
    generator = np.random.default_rng(5)
    found = pd.DataFrame({
        "seq": ["".join(row) for row in generator.choice(list("ACGT"), (ROWS, 30))],
        "mean_value": generator.normal(size=ROWS).round(3), "fold": np.arange(ROWS) % 10,
    })  # fmt: skip
    return str(found.to_csv(sep="\t", index=False))


def hdf5(change: Callable[[h5py.File], object] = lambda file: None) -> bytes:
    """Measurements that are read as they are, in HDF5, or changed."""
    generator, buffer = np.random.default_rng(5), io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in ("Train", "Val", "Test"):
            x = np.eye(4, dtype=np.float32)[generator.integers(0, 4, (10, 20))]
            file.create_dataset(f"{name}/X", data=x, compression="gzip")
            file[f"{name}/y"] = np.abs(generator.normal(size=(10, 2))).astype(np.float32)
        change(file)
    return buffer.getvalue()


def replaced(name: str, make: Callable[[h5py.File], object]) -> Callable[[h5py.File], None]:
    """What makes something else in the place of a data set."""

    def change(file: h5py.File) -> None:
        del file[name]
        make(file)

    return change


def of_shape(*shape: int) -> Callable[[h5py.File], None]:
    """A data set that says it has a shape, and has nothing."""
    return replaced("Train/X", lambda file: file.create_dataset("Train/X", shape=shape, dtype="f4", chunks=(1, 4, 4)))


def flipped(content: bytes, *places: int) -> bytes:
    """With a bit of the bytes at these places turned."""
    changed = bytearray(content)
    for place in places:
        changed[place] ^= 16
    return bytes(changed)


def zeros(mebibytes: int) -> bytes:
    """A small gzip file of so many MiB."""
    return gzip.compress(bytes(mebibytes << 20), 9)


def parquet(columns: dict[str, object]) -> bytes:
    """Columns as Parquet."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def with_other_rows(content: bytes, told: int) -> bytes:
    """A Parquet file whose footer tells of another number of rows than its groups have."""
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    rows = _number(pq.ParquetFile(io.BytesIO(content)).metadata.num_rows)
    at = content.index(rows, footer)
    return content[:at] + _number(told, len(rows)) + content[at + len(rows) :]


def _number(value: int, width: int = 0) -> bytes:
    """A whole number as Thrift writes it, in so many bytes at least."""
    found, left = bytearray(), 2 * value
    while left > 127 or len(found) + 1 < width:
        found.append((left & 127) | 128)
        left >>= 7
    return bytes([*found, left])
