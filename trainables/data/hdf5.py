"""Reader of the published lentiMPRA layout: groups Train, Val and Test with one-hot sequences."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.given import check_file
from nrtune.trainables.data.computed_copies import computed_copies, finding_of
from nrtune.trainables.data.dataset import SPLITS, Dataset, without_constant_noise
from nrtune.trainables.data.limits import MEMORY, check_bases, check_rows
from nrtune.trainables.data.orientation import orientation_pairs
from nrtune.trainables.data.related import related_rows
from nrtune.trainables.data.sequences import N_TOKEN
from nrtune.trainables.data.source_rows import SourceRows

GROUPS = {"train": "Train", "val": "Val", "test": "Test"}
CHUNK_ROWS = 4096
"""Rows read at a time: 4096 × 230 × 4 float32 are 15 MB, whatever the file's size."""
_DAMAGE = (OSError, TypeError, ValueError, KeyError, RuntimeError, OverflowError, MemoryError)
"""What h5py raises for a file with wrong bits, for links in a circle, and for an object where numbers belong."""


def read_hdf5(path: str | os.PathLike[str], *, with_noise: bool = True) -> Dataset:
    """Read the published layout: groups Train, Val, Test with X (N, length, 4) one-hot and y (N, 2) or (N, 1).

    y's columns are activity and aleatoric std; with one column no noise was measured, and aleatoric_std is None.
    A position whose four entries are equal is N. Rows that are another's computed reverse complement are left out. Read in
    chunks: the one-hot form is never in memory as a whole.
    """
    path = Path(path)
    parts: dict[str, list[NDArray[np.generic]]] = {"tokens": [], "y": [], "split": [], "noise_free": []}
    check_file(path, "the path of a lentiMPRA HDF5 file")
    try:
        file = h5py.File(path, "r")
    except _DAMAGE as error:
        raise UserError(f"{path}: is not a readable HDF5 file ({one_line(error)})") from error
    with file:
        for code, split in enumerate(SPLITS):
            try:
                group = _group(file, path, GROUPS[split])
                tokens, y = _read_group(group, path, GROUPS[split])
                truth = _noise_free(group, len(y), f"{path}: {GROUPS[split]}")
            except UserError:
                raise
            except _DAMAGE as error:
                raise UserError(
                    f"{path}: {GROUPS[split]} can't be read ({one_line(error)}); fetch the file again"
                ) from error
            parts["tokens"].append(tokens)
            parts["y"].append(y)
            parts["split"].append(np.full(len(y), code, np.uint8))
            if truth is not None:
                parts["noise_free"].append(truth)
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
    source = SourceRows.of([f"{path.name}/{GROUPS[split]}" for split in SPLITS], list(map(len, parts["y"])))
    copies = computed_copies(tokens, y_all[:, 0])
    findings = finding_of(copies, path.name, source)
    keep, tokens = ~copies, tokens[~copies]
    pairs = orientation_pairs(tokens)
    noise_free = np.concatenate(parts["noise_free"]).astype(np.float32) if len(parts["noise_free"]) == 3 else None
    found = Dataset(
        name=path.name,
        tokens=tokens,
        activity=np.ascontiguousarray(y_all[keep, 0]),
        aleatoric_std=np.ascontiguousarray(y_all[keep, 1]) if measured and with_noise else None,
        split=np.concatenate(parts["split"]).astype(np.uint8)[keep],
        noise_free=None if noise_free is None else noise_free[keep],
        cluster=related_rows(pairs),
        partner=pairs.partner,
        notes=notes,
        findings=findings,
        source=source.at(np.flatnonzero(keep)),
    )
    return without_constant_noise(found)


def _group(file: h5py.File, path: Path, name: str) -> h5py.Group:
    group = _below(file, name, path)
    if not isinstance(group, h5py.Group):
        there = ", ".join(sorted(file)) or "nothing"
        raise UserError(
            f"{path}: has no group {name} (it has {there}); the layout is Train, Val and Test, each with X and y"
        )
    for dataset in ("X", "y"):
        if not isinstance(_below(group, dataset, path), h5py.Dataset):
            raise UserError(
                f"{path}: group {name} has no data set {dataset}; the layout is Train, Val and Test, each with X and y"
            )
    return group


def _below(group: h5py.Group, name: str, path: Path) -> object:
    """What a group holds under a name, or None. Raises UserError for what lies in another file: nobody has named that."""
    outside = UserError(f"{path}: {group.name.rstrip('/')}/{name} lies in another file; write one file that holds all")
    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        raise outside
    found = group.get(name)
    if isinstance(found, h5py.Dataset):
        if found.is_virtual or found.external:
            raise outside
        if found.chunks and np.prod(found.chunks, dtype=float) * found.dtype.itemsize > MEMORY:
            raise UserError(f"{path}: {found.name} is stored in chunks of {found.chunks}; write smaller ones")
    return found


def _numbers(dataset: h5py.Dataset) -> bool:
    return any(np.issubdtype(dataset.dtype, kind) for kind in (np.floating, np.integer))


def _noise_free(group: h5py.Group, rows: int, where: str) -> NDArray[np.float32] | None:
    """The true activity of simulated data, (rows,), where it is there. Raises UserError for another shape."""
    truth = _below(group, "noise_free", Path(group.file.filename))
    if truth is None:
        return None
    if not isinstance(truth, h5py.Dataset) or truth.shape != (rows,) or not _numbers(truth):
        raise UserError(f"{where}/noise_free must be one number for each of {rows} sequences")
    return np.asarray(truth, np.float32)


def _read_group(group: h5py.Group, path: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    x, y, where = group["X"], group["y"], f"{path}: {name}"
    if x.ndim != 3 or x.shape[2] != 4 or x.shape[1] == 0:
        raise UserError(f"{where}/X has shape {x.shape}; it must be (N, length, 4), one-hot in the order A C G T")
    if not ((x.dtype == bool or _numbers(x)) and _numbers(y)):
        raise UserError(f"{where}: X and y must be numbers, not {x.dtype} and {y.dtype}")
    if y.shape not in ((x.shape[0],), (x.shape[0], 1), (x.shape[0], 2)):
        raise UserError(
            f"{where}/y has shape {y.shape} for X of shape {x.shape}; it must be (N, 2): activity, replicate standard deviation"
        )
    check_rows(path, x.shape[0])
    check_bases(path, *x.shape[:2])
    values = np.asarray(y, np.float32).reshape(x.shape[0], -1)
    for column, cells in zip(("activity", "aleatoric_std"), values.T, strict=False):
        wrong = np.flatnonzero(~np.isfinite(cells) | ((cells < 0) & (column == "aleatoric_std")))
        if len(wrong):
            raise UserError(
                f"{where}: {column} is {cells[wrong[0]]:g} in row {wrong[0] + 1}, and {len(wrong)} in all are no"
                f" {'measurements' if column == 'activity' else 'standard deviations, which are 0 or more'}; leave such rows out"
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
