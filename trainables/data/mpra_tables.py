"""Reader of tables of measurements, one of all splits or one of each, whatever their columns are called."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.columns import Columns, MpraTable
from nrtune.trainables.data.computed_copies import computed_copies, finding_of
from nrtune.trainables.data.conditions import conditions_in
from nrtune.trainables.data.dataset import SPLITS, Dataset, without_constant_noise
from nrtune.trainables.data.findings import Finding, count_of
from nrtune.trainables.data.headers import headed, layout_finding
from nrtune.trainables.data.lengths import check_lengths
from nrtune.trainables.data.letters import letter_findings
from nrtune.trainables.data.limits import check_bases
from nrtune.trainables.data.orientation import orientation_pairs
from nrtune.trainables.data.paths import PathOrSplits, split_paths
from nrtune.trainables.data.related import cluster_keys, related_rows
from nrtune.trainables.data.sequences import padded_tokens, without_uracil
from nrtune.trainables.data.source_rows import SourceRows
from nrtune.trainables.data.table_noise import NOISE_SOURCES, disagreement, noise_of
from nrtune.trainables.data.table_splits import WORDS, Keys, TableSplit, split_rows
from nrtune.trainables.data.tables import FORMATS, read_table

_MARKS = ("1", "1.0", "true", "t", "yes", "y")
"""What a column such as rev says of a reverse complement, in any case."""


def read_mpra_table(
    path: PathOrSplits,
    *,
    columns: Columns | None = None,
    folds: Mapping[str, Sequence[int | str]] | None = None,
    chroms: Mapping[str, Sequence[str]] | None = None,
    noise: str = "auto",
) -> Dataset:
    """Read a table of sequences and their activity, or three: of train, val and test. CSV or TSV, .gz, .bz2, or Parquet.

    Columns are known by name, in any case: seq or sequence; mean_value, activity, expression, log2FC or value; aleatoric_std,
    noise or std; split, set or subset; fold; seq_id, name or id; rev or is_rc; chrom or chr. `columns` names others by their
    roles (seq, activity, noise, replicates, split, fold, name, rev, chrom), "" for none, such as {"activity": "lfc",
    "replicates": "a+b"}. Shorter sequences stand in the middle of N.

    Splits. A column of train, val and test is obeyed. `folds` names the folds of val and test, such as {"val": [9], "test":
    [10]}, `chroms` their chromosomes; the others train. Otherwise a table of three folds or more tests on the highest and
    validates on the next; one of fewer is divided 80/10/10 by a hash of the sequence in which both orientations of an element
    fall alike.

    Noise. "replicates": standard deviation over the columns of that role (two or more). "orientation": elements measured in
    both orientations (see `orientation_pairs`) get |forward − reverse|/√2; rows without a partner are left out, and counted.
    "auto": a column of noise if there is one, else replicates if named, else orientation pairs if at least half of the rows have
    one, else none. Reverse complements that were computed are no measurements, and left out.

    Both orientations of an element are one cluster. So are elements that overlap, where the table has their coordinates: columns
    chrom, start and end, or chr and stop, each perhaps with its assembly, as in chr.hg38, or texts such as chr1:100-300. Wherever
    rows are divided here a cluster falls into one split.

    Raises UserError for what can't be read, or has two meanings.
    """
    if noise not in NOISE_SOURCES:
        raise UserError(f"noise must be one of {', '.join(NOISE_SOURCES)}, not {noise!r}")
    paths = split_paths(path)
    _check_order(paths)
    if len(paths) > 1 and (folds or chroms):
        raise UserError("--data names a table for each split; leave out folds and --split-by chrom")
    where = ",".join(one.name for one in paths)
    parts = [_read(one, columns or {}) for one in paths]
    if len(parts) > 1:
        _check_splits(parts)
    places = SourceRows.of([one.name for one in paths], [len(part.activity) for part in parts])
    lengths = np.array([len(sequence) for part in parts for sequence in part.sequences])
    of_lengths = check_lengths(lengths, where, places)
    tokens = _tokens(parts)
    activity = np.concatenate([part.activity for part in parts])
    marked = np.concatenate([part.marked for part in parts])
    copies = computed_copies(tokens, activity, marked.tolist())
    kept = np.flatnonzero(~copies)
    pairs = orientation_pairs(tokens[kept], _names(parts, kept))
    tables = [part.table for part in parts]
    frames = [table.table.loc[:, ~table.table.columns.duplicated()] for table in tables]  # concat takes no name twice
    cluster = related_rows(pairs, pd.concat(frames, ignore_index=True).iloc[kept])
    if len(parts) > 1:
        of_part = [np.full(len(part.activity), code, np.uint8) for code, part in enumerate(parts)]
        divided = TableSplit(np.concatenate(of_part)[kept], ("one table for each split",))
    else:
        divided = _divide(parts[0].table, Keys(pairs.keys, cluster_keys(cluster, pairs.keys)), kept, folds, chroms)
    std, source = noise_of(tables, activity[kept], pairs.partner, noise, kept)
    measured = np.ones(len(kept), bool)
    if source == "orientation" and std is not None:
        measured = pairs.partner >= 0
        lone = int((~measured).sum())
        pairs_of = count_of(int(measured.sum()) // 2, "orientation pair")
        said = f"noise from {pairs_of}; {count_of(lone)} without a partner left out"
    elif source != "none":
        said = f"noise from {source}"
    else:
        said = "no noise was measured, so methods that need it are refused"
    rows = kept[measured]
    found = Dataset(
        name=where,
        tokens=tokens[rows],
        activity=activity[rows],
        aleatoric_std=None if std is None else std[measured],
        split=divided.split[measured],
        cluster=cluster[measured],
        partner=_renumbered(pairs.partner, measured),
        notes=(*_padding_notes(parts), *divided.notes),
        findings=(
            *(layout_finding(part.table.path.name, said) for part in parts for said in part.layout),
            *of_lengths,
            *finding_of(copies, where, places, parts[0].table.name("rev") if marked.any() else None),
            *disagreement(tables, activity, where, places),
            *_of_letters(parts, where, places),
            *conditions_in(tables, [sequence for part in parts for sequence in part.sequences], where),
        ),
        source=places.at(rows),
    )
    found = without_constant_noise(found)
    constant = std is not None and found.aleatoric_std is None
    return found if constant else dataclasses.replace(found, notes=(*found.notes, said))


class _Part(NamedTuple):
    """What one table holds, a row each: sequences, activity (n,), and (n,) which are marked as reverse, had U, and lower case.

    layout: what is to be said of how it was read.
    """

    table: MpraTable
    sequences: list[str]
    activity: NDArray[np.float32]
    marked: NDArray[np.bool_]
    rna: NDArray[np.bool_]
    lower: NDArray[np.bool_]
    layout: Sequence[str]


def _check_order(paths: Sequence[Path]) -> None:
    """See that tables of splits whose names say which they are stand in the order train, val, test. Raises UserError."""
    if len(paths) not in (1, len(SPLITS)):
        raise UserError(f"--data names {len(paths)} files; give one, or three: train,val,test")
    said = [
        {WORDS[word] for word in re.split(r"[^a-z]+", path.name.lower()) if word in WORDS} if len(paths) > 1 else set()
        for path in paths
    ]
    for path, words, split in zip(paths, said, SPLITS, strict=False):
        if len(words) == 1 and split not in words:
            raise UserError(f"{path}: stands where the {split} split belongs; give three files as train,val,test")


def _read(path: Path, columns: Columns) -> _Part:
    said: list[str] = []
    frame, without = headed(path, read_table(path, FORMATS, said))
    table = MpraTable(path, frame, columns)
    sequences = table.required("seq")
    numbers = table.numbers("activity", required=True)
    if not len(table) or numbers is None:
        raise UserError(f"{path}: has no rows")
    marks = table.texts("rev") or [""] * len(table)
    marked = np.array([mark.lower() in _MARKS for mark in marks], bool)
    lower = np.array([sequence != sequence.upper() for sequence in sequences], bool)
    sequences, rna = without_uracil(sequences)
    layout = [*said, without] if without else said
    return _Part(table, sequences, numbers.astype(np.float32), marked, rna, lower, layout)


def _check_splits(parts: Sequence[_Part]) -> None:
    """See that tables of splits that have a column of splits, too, say the same in it. Raises UserError."""
    for (table, *_), split in zip(parts, SPLITS, strict=True):
        for row, word in enumerate(table.texts("split") or (), start=1):
            if WORDS.get(word.lower(), split) != split:
                raise UserError(
                    f"{table.path}: is given as the {split} table, and its column {table.name('split')} is {word!r} in row {row};"
                    " give that table alone, or --columns split= to leave the column out"
                )


def _tokens(parts: Sequence[_Part]) -> NDArray[np.uint8]:
    """The sequences of all tables, (N, length of the longest)."""
    length = max(len(sequence) for part in parts for sequence in part.sequences)
    for part in parts:
        check_bases(part.table.path, len(part.sequences), length)
    return np.concatenate(
        [padded_tokens(part.sequences, length, f"{part.table.path}: {part.table.name('seq')}") for part in parts]
    )


def _padding_notes(parts: Sequence[_Part]) -> list[str]:
    lengths = np.array([len(sequence) for part in parts for sequence in part.sequences])
    if lengths.min() == lengths.max():
        return []
    shorter = int((lengths < lengths.max()).sum())
    stand = "stands" if shorter == 1 else "stand"
    return [
        f"sequences have {lengths.min()} to {lengths.max()} bases: {shorter} of {len(lengths)} {stand} in the middle of N"
    ]


def _names(parts: Sequence[_Part], kept: NDArray[np.int64]) -> list[str] | None:
    """The names of the rows kept; None where a table has none."""
    names: list[str] = []
    for part in parts:
        texts = part.table.texts("name")
        if texts is None:
            return None
        names += texts
    return [names[row] for row in kept]


def _of_letters(parts: Sequence[_Part], where: str, places: SourceRows) -> list[Finding]:
    """What is found of letters that were taken for others."""
    rna, lower = (np.concatenate([getattr(part, of) for part in parts]) for of in ("rna", "lower"))
    return letter_findings(where, rna, lower, example=places.one)


def _renumbered(partner: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The partners of the rows kept, numbered as these; -1 for one that is not among them."""
    number = np.full(len(kept) + 1, -1, np.int64)  # the last is what -1 points to
    number[np.flatnonzero(kept)] = np.arange(kept.sum())
    return number[partner[kept]]


def _divide(
    table: MpraTable,
    keys: Keys,
    kept: NDArray[np.int64],
    folds: Mapping[str, Sequence[int | str]] | None,
    chroms: Mapping[str, Sequence[str]] | None,
) -> TableSplit:
    """The split of the rows kept; those left out stand for nobody."""
    every = [[b"left out %d" % row for row in range(len(table))] for _ in keys]
    for of_rows, of_kept in zip(every, keys, strict=True):
        for row, key in zip(kept, of_kept, strict=True):
            of_rows[row] = key
    divided = split_rows(table, Keys(*every), folds, chroms)
    return divided._replace(split=divided.split[kept])
