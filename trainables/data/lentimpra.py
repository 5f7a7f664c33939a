"""Readers of lentiMPRA files: the published HDF5 layout and the Prix Fixe tables."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.data.dataset import SPLITS, Dataset, without_constant_noise
from nrtune.trainables.data.related import orientation_pairs, related_rows
from nrtune.trainables.data.sequences import N_TOKEN, to_tokens

GROUPS = {"train": "Train", "val": "Val", "test": "Test"}
CHUNK_ROWS = 4096
"""Rows read at a time: 4096 × 230 × 4 float32 are 15 MB, whatever the file's size."""

NOISE_SOURCES = ("auto", "orientation", "replicates", "none")
TSV_SUFFIXES = (".tsv", ".txt", ".tsv.gz", ".txt.gz", ".csv", ".csv.gz")


def read_dataset(
    path: str | os.PathLike[str],
    *,
    folds: Mapping[str, Sequence[int]] | None = None,
    noise: str = "auto",
    replicate_columns: Sequence[str] = (),
) -> Dataset:
    """Read an HDF5 file or a Prix Fixe table, told apart by suffix. The options are those of `read_tsv`.

    Raises UserError for a file that is missing, of another kind, or wrong inside.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file; give the path of a lentiMPRA .h5 or .tsv file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the path of a lentiMPRA .h5 or .tsv file")
    name = path.name.lower()
    if name.endswith((".h5", ".hdf5")):
        if folds or replicate_columns or noise not in ("auto", "none"):
            raise UserError(
                f"{path}: folds, noise and replicate columns are options of tables; HDF5 files hold their own"
            )
        return without_constant_noise(read_hdf5(path, with_noise=noise != "none"))
    if name.endswith(TSV_SUFFIXES):
        return without_constant_noise(read_tsv(path, folds=folds, noise=noise, replicate_columns=replicate_columns))
    raise UserError(f"{path}: unknown kind of file; known: .h5, .hdf5, {', '.join(TSV_SUFFIXES)}")


def read_hdf5(path: str | os.PathLike[str], *, with_noise: bool = True) -> Dataset:
    """Read the published layout: groups Train, Val, Test with X (N, length, 4) one-hot and y (N, 2) or (N, 1).

    y's columns are activity and aleatoric std; with one column no noise was measured, and aleatoric_std is None.
    A position whose four entries are equal is N. Read in chunks: the one-hot form is never in memory as a whole.
    """
    path = Path(path)
    parts: dict[str, list[NDArray[np.generic]]] = {"tokens": [], "y": [], "split": [], "noise_free": []}
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: is not a readable HDF5 file ({str(error).splitlines()[0]})") from error
    with file:
        for code, split in enumerate(SPLITS):
            group = _group(file, path, GROUPS[split])
            try:
                tokens, y = _read_group(group, f"{path}: {GROUPS[split]}")
                noise_free = np.asarray(group["noise_free"], np.float32) if "noise_free" in group else None
            except (OSError, TypeError) as error:  # a chunk that can't be unpacked, an object where numbers belong
                raise UserError(
                    f"{path}: {GROUPS[split]} can't be read ({one_line(error)}); fetch the file again"
                ) from error
            parts["tokens"].append(tokens)
            parts["y"].append(y)
            parts["split"].append(np.full(len(y), code, np.uint8))
            if noise_free is not None:
                parts["noise_free"].append(noise_free)
    lengths = {split: part.shape[1] for split, part in zip(SPLITS, parts["tokens"], strict=True)}
    if len(set(lengths.values())) > 1:
        raise UserError(f"{path}: sequences differ in length between the splits ({lengths}); they must share one")
    columns = {split: part.shape[1] for split, part in zip(SPLITS, parts["y"], strict=True)}
    if len(set(columns.values())) > 1:
        raise UserError(f"{path}: y has different columns in the splits ({columns}); give each (N, 2) or each (N, 1)")
    y_all = np.concatenate(parts["y"]).astype(np.float32)
    measured = y_all.shape[1] == 2
    notes = () if measured else ("y has one column: no noise was measured, so methods that need it are refused",)
    tokens = np.concatenate(parts["tokens"]).astype(np.uint8)
    return Dataset(
        name=path.name,
        tokens=tokens,
        activity=np.ascontiguousarray(y_all[:, 0]),
        aleatoric_std=np.ascontiguousarray(y_all[:, 1]) if measured and with_noise else None,
        split=np.concatenate(parts["split"]).astype(np.uint8),
        noise_free=np.concatenate(parts["noise_free"]).astype(np.float32) if len(parts["noise_free"]) == 3 else None,
        cluster=related_rows(orientation_pairs(tokens)[0]),
        notes=notes,
    )


def _group(file: h5py.File, path: Path, name: str) -> h5py.Group:
    group = file.get(name)
    if not isinstance(group, h5py.Group):
        there = ", ".join(sorted(file)) or "nothing"
        raise UserError(
            f"{path}: has no group {name} (it has {there}); the layout is Train, Val and Test, each with X and y"
        )
    for dataset in ("X", "y"):
        if not isinstance(group.get(dataset), h5py.Dataset):
            raise UserError(
                f"{path}: group {name} has no data set {dataset}; the layout is Train, Val and Test, each with X and y"
            )
    return group


def _read_group(group: h5py.Group, where: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    x, y = group["X"], group["y"]
    if x.ndim != 3 or x.shape[2] != 4:
        raise UserError(f"{where}/X has shape {x.shape}; it must be (N, length, 4), one-hot in the order A C G T")
    if not ((x.dtype == bool or np.issubdtype(x.dtype, np.number)) and np.issubdtype(y.dtype, np.number)):
        raise UserError(f"{where}: X and y must be numbers, not {x.dtype} and {y.dtype}")
    values = np.asarray(y, np.float32)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] not in (1, 2) or len(values) != x.shape[0]:
        raise UserError(
            f"{where}/y has shape {y.shape} for X of shape {x.shape}; it must be (N, 2): activity, replicate standard deviation"
        )
    tokens = np.empty(x.shape[:2], np.uint8)
    for start in range(0, x.shape[0], CHUNK_ROWS):
        chunk = np.asarray(x[start : start + CHUNK_ROWS], np.float32)
        tokens[start : start + len(chunk)] = _tokens_of_one_hot(chunk, start, where)
    return tokens, values


def _tokens_of_one_hot(chunk: NDArray[np.float32], start: int, where: str) -> NDArray[np.uint8]:
    high, low, total = chunk.max(axis=2), chunk.min(axis=2), chunk.sum(axis=2)
    unknown = high == low
    one_hot = (high == 1) & (low == 0) & (total == 1)
    wrong = np.argwhere(~(one_hot | unknown))
    if len(wrong):
        row, position = (int(i) for i in wrong[0])
        raise UserError(
            f"{where}/X is not one-hot in row {start + row + 1}, position {position + 1} "
            f"({chunk[row, position].tolist()}); write 1 for the base, or four equal numbers for N"
        )
    return np.where(unknown, N_TOKEN, chunk.argmax(axis=2)).astype(np.uint8)


def read_tsv(
    path: str | os.PathLike[str],
    *,
    folds: Mapping[str, Sequence[int]] | None = None,
    noise: str = "auto",
    replicate_columns: Sequence[str] = (),
) -> Dataset:
    """Read a Prix Fixe table: seq_id, seq, mean_value, fold, and whatever columns beside them.

    Splits. `folds` names the folds of val and test, such as {"val": [9], "test": [10]}; the others train. Without it a
    table of three folds or more tests on the highest and validates on the next; one of fewer is divided 80/10/10 by a
    hash of the sequence in which both orientations of an element fall alike.

    Noise. "replicates": standard deviation over `replicate_columns` (two or more). "orientation": elements measured in
    both orientations (one insert the reverse complement of the other, between adapters that all sequences share) get
    |forward − reverse|/√2; rows without a partner are left out, and counted. "auto": a column aleatoric_std if there is
    one, else replicates if named, else orientation pairs if at least half of the rows have one, else none.

    Both orientations of an element are one cluster. So are elements that overlap, where the table has their coordinates:
    columns chrom, start and end, or chr and stop, each perhaps with its assembly, as in chr.hg38.
    """
    path = Path(path)
    if noise not in NOISE_SOURCES:
        raise UserError(f"noise must be one of {', '.join(NOISE_SOURCES)}, not {noise!r}")
    table = _read_table(path)
    tokens = to_tokens(table["seq"].tolist(), f"{path}: seq")
    pairs, pair_keys = orientation_pairs(tokens)
    notes: list[str] = []
    split = _split_by_folds(table, folds, path) if folds or _has_folds(table) else None
    if split is None:
        split = _split_by_hash(pair_keys)
        notes.append("fewer than three folds: divided 80/10/10 by a hash that keeps orientation pairs together")
    activity = table["mean_value"].to_numpy(np.float32)
    std, source = _noise(table, activity, pairs, noise, replicate_columns, path)
    keep = np.ones(len(table), bool)
    if source == "orientation" and std is not None:
        keep = pairs >= 0
        notes.append(
            f"noise from {int(keep.sum()) // 2} orientation pairs; {int((~keep).sum())} rows without a partner left out"
        )
    elif source != "none":
        notes.append(f"noise from {source}")
    else:
        notes.append("no noise was measured, so methods that need it are refused")
    return Dataset(
        name=path.name,
        tokens=tokens[keep],
        activity=activity[keep],
        aleatoric_std=None if std is None else std[keep],
        split=split[keep],
        cluster=related_rows(pairs, table)[keep],
        notes=tuple(notes),
    )


def _read_table(path: Path) -> pd.DataFrame:
    separator = "," if ".csv" in path.name.lower() else "\t"
    try:
        table = pd.read_csv(path, sep=separator, dtype={"seq": str, "seq_id": str}, keep_default_na=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, EOFError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from error
    missing = [column for column in ("seq", "mean_value") if column not in table]
    if missing:
        raise UserError(f"{path}: has no column {missing[0]}; a Prix Fixe table has seq_id, seq, mean_value and fold")
    if table.empty:
        raise UserError(f"{path}: has no rows")
    for column in ("seq", "mean_value"):
        empty = table[column].isna()
        if empty.any():
            raise UserError(
                f"{path}: {column} is empty in row {int(empty.to_numpy().argmax()) + 1}; leave such rows out"
            )
    if not pd.api.types.is_numeric_dtype(table["mean_value"]):
        raise UserError(f"{path}: mean_value holds something that is not a number")
    return table


def _has_folds(table: pd.DataFrame) -> bool:
    return "fold" in table and table["fold"].nunique() >= 3


def _split_by_folds(table: pd.DataFrame, folds: Mapping[str, Sequence[int]] | None, path: Path) -> NDArray[np.uint8]:
    if "fold" not in table:
        raise UserError(f"{path}: has no column fold, so val and test folds can't be chosen")
    if table["fold"].isna().any():
        raise UserError(
            f"{path}: fold is empty in row {int(table['fold'].isna().to_numpy().argmax()) + 1}; leave such rows out"
        )
    if not pd.api.types.is_numeric_dtype(table["fold"]):
        raise UserError(f"{path}: fold holds something that is not a number")
    there = sorted(table["fold"].unique().tolist())
    chosen = folds or {"val": [there[-2]], "test": [there[-1]]}
    split = np.zeros(len(table), np.uint8)
    for name, numbers in chosen.items():
        if name not in ("val", "test"):
            raise UserError(f"folds are given for val and test, not for {name!r}; the others train")
        absent = [number for number in numbers if number not in there]
        if absent:
            raise UserError(f"{path}: has no fold {absent[0]}; it has {', '.join(map(str, there))}")
        split[table["fold"].isin(list(numbers)).to_numpy()] = SPLITS.index(name)
    return split


def _split_by_hash(keys: Sequence[bytes]) -> NDArray[np.uint8]:
    """80/10/10 by a hash of each key."""
    tenth = np.array([hashlib.sha256(key).digest()[0] % 10 for key in keys])
    return np.where(tenth == 9, 2, np.where(tenth == 8, 1, 0)).astype(np.uint8)


def _noise(
    table: pd.DataFrame,
    activity: NDArray[np.float32],
    partner: NDArray[np.int64],
    noise: str,
    replicate_columns: Sequence[str],
    path: Path,
) -> tuple[NDArray[np.float32] | None, str]:
    for column in replicate_columns:
        if column not in table:
            raise UserError(f"{path}: has no replicate column {column!r}; it has {', '.join(map(str, table.columns))}")
    for column in (*replicate_columns, "aleatoric_std"):
        if column in table and not pd.api.types.is_numeric_dtype(table[column]):
            raise UserError(f"{path}: {column} holds something that is not a number")
    if noise == "auto" and "aleatoric_std" in table:
        return table["aleatoric_std"].to_numpy(np.float32), "column aleatoric_std"
    if noise == "replicates" or (noise == "auto" and replicate_columns):
        if len(replicate_columns) < 2:
            raise UserError(f"{path}: noise from replicates needs two replicate columns or more")
        return table[list(replicate_columns)].std(axis=1, ddof=1).to_numpy(np.float32), "replicates"
    paired = partner >= 0
    if noise == "orientation" and not paired.any():
        raise UserError(f"{path}: no sequence is another's reverse complement, so there is no noise from orientations")
    if noise == "orientation" or (noise == "auto" and paired.mean() >= 0.5):
        std = np.abs(activity - activity[partner]) / np.float32(np.sqrt(2))
        return std.astype(np.float32), "orientation"
    return None, "none"
