"""Tables, HDF5 and settings files that were changed at random are read, or refused in one sentence."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
from collections.abc import Callable

import h5py
import numpy as np
import pandas as pd
import pytest

from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.audit import audit
from nrtune.trainables.data.lentimpra import read_dataset

ROWS = 40
CELLS = (
    *(
        "",
        "NA",
        "inf",
        "-1e999",
        "1_0",
        "0x1F",
        "1,5",
        "True",
        "nan",
        "-5",
        "9" * 400,
        "ACGU",
        "N" * 300,
        "U",
        "-",
        "é",
    ),
    *("\x1b[31m", '"', "'", "\t", "\n\n", "\0", "chr1:1-2", "2026-13-45", "&a [*a]", "{[", "- " * 80, ": "),
    "!!python/name:os.system ''",
)
"""What is written into files in place of something else."""


@functools.cache
def measurements() -> pd.DataFrame:
    generator = np.random.default_rng(5)
    return pd.DataFrame({
        "seq": ["".join(row) for row in generator.choice(list("ACGT"), (ROWS, 30))],
        "mean_value": generator.normal(size=ROWS).round(3),
        "std": generator.uniform(0.1, 0.3, ROWS).round(3),
        "fold": np.arange(ROWS) % 10,
        "chrom": [f"chr{row % 5 + 1}" for row in range(ROWS)],
    })  # fmt: skip


def text(separator: str = "\t") -> bytes:
    return measurements().to_csv(sep=separator, index=False).encode()


def parquet() -> bytes:
    buffer = io.BytesIO()
    measurements().to_parquet(buffer)
    return buffer.getvalue()


def hdf5() -> bytes:
    generator, buffer = np.random.default_rng(5), io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in ("Train", "Val", "Test"):
            x = np.eye(4, dtype=np.float32)[generator.integers(0, 4, (10, 20))]
            file.create_dataset(f"{name}/X", data=x, compression="gzip")
            file[f"{name}/y"] = np.abs(generator.normal(size=(10, 2))).astype(np.float32)
    return buffer.getvalue()


def settings() -> bytes:
    return (
        b"data: a.tsv\ntrials: 20\nseed: 3\nfamily: [baseline, rank_stability]\ncolumns: {seq: seq, activity: mean_value}\n"
        b"epochs: 12\nval_chroms: [chr1, chr2]\nnoise: auto\nbenchmark:\n  cagi5: folder\nlr: 1e-3\n"
    )


KINDS: dict[str, tuple[Callable[[], bytes], Callable[[bytes], bytes]]] = {
    "a.tsv": (text, bytes),
    "a.csv": (functools.partial(text, ","), bytes),
    "packed.tsv.gz": (text, functools.partial(gzip.compress, mtime=0)),
    "packed.tsv.bz2": (text, bz2.compress),
    "a.tsv.gz": (lambda: gzip.compress(text(), mtime=0), bytes),
    "a.tsv.bz2": (lambda: bz2.compress(text()), bytes),
    "a.parquet": (parquet, bytes),
    "a.h5": (hdf5, bytes),
    "a.yaml": (settings, bytes),
}
"""Files, and how they are packed once they were changed."""


def changed(content: bytes, generator: np.random.Generator) -> bytes:
    """A file's content with one to four changes: of bits, of pieces that go, are repeated or replaced, of its end."""
    for _ in range(int(generator.integers(1, 5))):
        at = int(generator.integers(0, max(len(content), 1)))
        size = int(generator.integers(1, 40))
        piece = content[at : at + size]
        match int(generator.integers(0, 6)):
            case 0:
                piece = bytes(byte ^ (1 << int(generator.integers(0, 8))) for byte in piece[:2]) + piece[2:]
            case 1:
                piece = b""
            case 2:
                piece = piece * int(generator.integers(2, 50))
            case 3:
                piece = CELLS[int(generator.integers(0, len(CELLS)))].encode()
            case 4:
                piece = generator.bytes(size)
            case _ if generator.random() < 0.3:
                return content[:at]
        content = content[:at] + piece + content[at + size :]
    return content


def read_or_refuse(tmp_path, name: str, number: int) -> None:
    make, pack = KINDS[name]
    path = tmp_path / name
    path.write_bytes(pack(changed(make(), np.random.default_rng([number, len(name), ord(name[-1])]))))
    refusal = ""
    try:
        if name.endswith(".yaml"):
            load_settings(path, {}, Settings)
        else:
            audit(read_dataset(path))
    except UserError as error:
        refusal = str(error)
    except Exception as error:
        raise AssertionError(f"{name}, number {number}: {type(error).__name__}: {error}") from error
    assert "\n" not in refusal, (name, number)


@pytest.mark.parametrize("name", KINDS)
def test_a_changed_file_is_read_or_refused_in_one_sentence(tmp_path, name):
    for number in range(8):
        read_or_refuse(tmp_path, name, number)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_many_changed_files_are_read_or_refused_in_one_sentence(tmp_path, name):
    for number in range(8, 120):
        read_or_refuse(tmp_path, name, number)
