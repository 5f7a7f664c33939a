"""Reads a data set, whatever file it is in: the published HDF5 layout, a table, or a table for each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.given import check_file
from nrtune.trainables.data.columns import Columns
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.hdf5 import read_hdf5
from nrtune.trainables.data.mpra_tables import read_mpra_table
from nrtune.trainables.data.paths import PathOrSplits, split_paths
from nrtune.trainables.data.tables import FORMATS

HDF5_SUFFIXES = (".h5", ".hdf5", ".he5")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def read_dataset(
    path: PathOrSplits,
    *,
    columns: Columns | None = None,
    folds: Mapping[str, Sequence[int | str]] | None = None,
    chroms: Mapping[str, Sequence[str]] | None = None,
    noise: str = "auto",
) -> Dataset:
    """Read an HDF5 file or a table, told apart by content, or three tables: of train, val and test.

    columns: the names of a table's columns by their roles, such as {"activity": "log2FC", "replicates": "rep1+rep2"}, where they
    are not the field's. folds, chroms: those of a table that val and test get, such as {"val": [9], "test": [10]} or
    {"val": ["chr8"], "test": ["chr9"]}. noise: auto, orientation, replicates or none. `read_mpra_table` says more of them.

    Raises UserError for a file that is missing, of another kind, or wrong inside.
    """
    paths = split_paths(path)
    kinds = [_is_hdf5(one) for one in paths]
    if not any(kinds):
        return read_mpra_table(paths, columns=columns, folds=folds, chroms=chroms, noise=noise)
    if len(paths) > 1:
        raise UserError(
            f"{paths[kinds.index(True)]}: is an HDF5 file, which holds all splits; give it alone, or three tables"
        )
    if columns or folds or chroms or noise not in ("auto", "none"):
        raise UserError(
            f"{paths[0]}: folds, chromosomes, noise and columns are options of tables; HDF5 files hold their own"
        )
    return read_hdf5(paths[0], with_noise=noise != "none")


def _is_hdf5(path: Path) -> bool:
    """Whether a file is, or is called, HDF5. Raises UserError where it can't be read, and for a spreadsheet's own format."""
    check_file(path, f"lentiMPRA data: HDF5, or {FORMATS}")
    if path.name.lower().endswith(HDF5_SUFFIXES):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); give HDF5, or {FORMATS}") from error
    if start.startswith(_EXCEL):
        raise UserError(f"{path}: is a spreadsheet or an archive; save it as CSV, or give HDF5, or {FORMATS}")
    return start == _HDF5_SIGNATURE
