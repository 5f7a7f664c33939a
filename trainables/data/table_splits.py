"""How the rows of a table are divided into train, val and test: as the table says, by chromosomes, or by a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.columns import MpraTable
from nrtune.trainables.data.coordinates import coordinate_in, coordinates_in
from nrtune.trainables.data.dataset import SPLITS
from nrtune.trainables.data.findings import count_of
from nrtune.trainables.data.related import first_rows

WORDS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
"""What tables call the three splits, in any case."""
TENTH = 0.1
"""The least share of rows that test, and val, get of groups that nrtune divides."""


class Keys(NamedTuple):
    """What the N rows of an element share, and those of a cluster: an element, and all that overlap it or one that does."""

    element: Sequence[bytes]
    cluster: Sequence[bytes]

    @property
    def overlapping(self) -> bool:
        """Whether some cluster is of several elements."""
        return len(set(self.cluster)) < len(set(self.element))


class TableSplit(NamedTuple):
    """split: (N,), indices into SPLITS. notes: what is to be said of it."""

    split: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def split_rows(
    table: MpraTable,
    keys: Keys,
    folds: Mapping[str, Sequence[int | str]] | None,
    chroms: Mapping[str, Sequence[str]] | None,
) -> TableSplit:
    """The split of each row. folds, chroms: those of val and test, where the user names them; the others train.

    Otherwise a column of splits is obeyed; of three folds or more the highest is tested on and the next validates; of fewer all
    are divided 80/10/10 by a hash. keys: of the rows, whose clusters stay whole wherever nrtune divides. Raises UserError.
    """
    if folds and chroms:
        raise UserError("folds and --split-by chrom both say what is validated and tested on; give one of them")
    if chroms:
        return _by_chromosomes(table, keys, chroms)
    if folds:
        return _by_folds(table, _folds(table), folds)
    if table.name("split") is not None:
        return _as_said(table)
    if len(set(table.texts("fold") or ()) - {""}) >= 3:
        of_rows = _folds(table)
        there = sorted(set(of_rows))
        if isinstance(there[0], str):
            return _by_groups(table, list(map(str, of_rows)), keys)
        if len(there) >= 3:
            return _by_folds(table, of_rows, {"val": [there[-2]], "test": [there[-1]]})
    tenth = np.array([hashlib.sha256(key).digest()[0] % 10 for key in keys.cluster])
    split = np.where(tenth == 9, 2, np.where(tenth == 8, 1, 0)).astype(np.uint8)
    if keys.overlapping and np.bincount(split, minlength=len(SPLITS)).min() < 2:
        raise UserError(
            f"{table.path}: by their coordinates its elements overlap in {len(set(keys.cluster))} chains, which can't be divided"
            " into train, val and test; add a column split, or fold, that says where each row belongs"
        )
    return TableSplit(split, (f"fewer than three folds: divided 80/10/10 by a hash{_kept_together(split, keys)}",))


def _kept_together(split: NDArray[np.uint8], keys: Keys) -> str:
    """The clause that elements and what they overlap are whole in a split, where some have several rows and all are."""
    first = first_rows(keys.element)
    together = ["orientation pairs"] if (first != np.arange(len(first))).any() else []
    together += ["elements that overlap"] if keys.overlapping else []
    whole = all((split == split[first_rows(of)]).all() for of in keys)
    return f" that keeps {' and '.join(together)} together" if together and whole else ""


def _whole(split: NDArray[np.uint8], keys: Keys) -> NDArray[np.uint8]:
    """A split in which the rows of an element are where the last of its splits is: what is tested on is not trained on."""
    first = first_rows(keys.cluster)
    latest = split.copy()
    np.maximum.at(latest, first, split)
    return latest[first]


def _as_said(table: MpraTable) -> TableSplit:
    words = table.required("split")
    codes = [WORDS.get(word.lower(), "") for word in words]
    if "" in codes:
        row = codes.index("")
        raise UserError(
            f"{table.path}: {table.name('split')} is {words[row]!r} in row {row + 1}, neither train, val nor test; name the"
            " column of the split with --columns split=NAME, or split= if there is none"
        )
    fold = f"; {table.name('fold')} is not looked at" if table.name("fold") is not None else ""
    split = np.array([SPLITS.index(code) for code in codes], np.uint8)
    return TableSplit(split, (f"divided as its column {table.name('split')} says{fold}",))


def _folds(table: MpraTable) -> list[float | str]:
    """The fold of each row: numbers, or texts of a column that the user named."""
    if table.name("fold") is None:
        raise UserError(
            f"{table.path}: has no column fold, so val and test folds can't be chosen; it has {table.there}"
        )
    texts = table.required("fold")
    if not table.is_given("fold"):
        if all(text.lower() in WORDS for text in texts):
            raise UserError(
                f"{table.path}: {table.name('fold')} holds splits, such as {texts[0]!r}; name it with --columns"
                f" fold=,split={table.name('fold')}"
            )
        numbers = table.numbers("fold")
        assert numbers is not None
        return [float(number) for number in numbers]
    try:
        return [float(text) for text in texts]
    except ValueError:
        return list(texts)


def _by_folds(
    table: MpraTable, of_rows: Sequence[float | str], chosen: Mapping[str, Sequence[int | float | str]]
) -> TableSplit:
    there = sorted(set(of_rows))
    split = np.zeros(len(of_rows), np.uint8)
    taken: dict[float | str, str] = {}
    for name, folds in chosen.items():
        if name not in ("val", "test"):
            raise UserError(f"folds are given for val and test, not for {name!r}; the others train")
        wanted = [str(fold) if isinstance(there[0], str) else fold for fold in folds]
        for fold in wanted:
            if fold not in there:
                known = ", ".join(f"{one:g}" if isinstance(one, float) else one for one in there)
                raise UserError(f"{table.path}: has no fold {fold}; it has {known}")
            if taken.setdefault(fold, name) != name:
                raise UserError(f"folds: {fold} is named for val and for test; name it for one of them")
        split[np.isin(np.array(of_rows), np.array(wanted))] = SPLITS.index(name)
    val, test = (
        ", ".join(fold if isinstance(fold, str) else f"{fold:g}" for fold in taken if taken[fold] == name) or "none"
        for name in ("val", "test")
    )
    return TableSplit(split, (f"divided by {table.name('fold')}: validated on {val}, tested on {test}",))


def _by_groups(table: MpraTable, groups: Sequence[str], keys: Keys) -> TableSplit:
    """Whole groups of rows, in the order of a hash, for test until it has a tenth, then for val; the others train."""
    names, of_row, count = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    code = np.zeros(len(names), np.uint8)
    order = iter(sorted(range(len(names)), key=lambda place: hashlib.sha256(str(names[place]).encode()).digest()))
    for split in ("test", "val"):
        size = 0
        while size < TENTH * len(groups) and (place := next(order, None)) is not None:
            code[place] = SPLITS.index(split)
            size += int(count[place])
    val, test = (", ".join(names[code == SPLITS.index(split)].tolist()) for split in ("val", "test"))
    made = _whole(code[of_row], keys)
    said = f"divided by {table.name('fold')}: validated on {val}, tested on {test}"
    return TableSplit(made, (said + _moved(made, code[of_row], keys),))


def _by_chromosomes(table: MpraTable, keys: Keys, chosen: Mapping[str, Sequence[str]]) -> TableSplit:
    of_rows = [_bare(chrom) for chrom in _chromosomes(table)]
    there = sorted(set(of_rows) - {""}, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))
    split = np.zeros(len(of_rows), np.uint8)
    taken: dict[str, str] = {}
    for name in ("val", "test"):
        wanted = [_bare(chrom) for chrom in chosen.get(name, ())]
        if not wanted:
            raise UserError(f"--split-by chrom needs --val-chroms and --test-chroms; the table has {_listed(there)}")
        for given, chrom in zip(chosen[name], wanted, strict=True):
            if chrom not in there:
                raise UserError(
                    f"--{name}-chroms {given}: {table.path} has no such chromosome; it has {_listed(there)}"
                )
            if taken.setdefault(chrom, name) != name:
                raise UserError(f"{given} is among --val-chroms and --test-chroms; name it in one of them")
        split[np.isin(np.array(of_rows), np.array(wanted))] = SPLITS.index(name)
    made = _whole(split, keys)
    unplaced = of_rows.count("")
    notes = ["divided by chromosomes" + _moved(made, split, keys)]
    notes += [f"{count_of(unplaced)} without a chromosome train{'s' * (unplaced == 1)}"] if unplaced else []
    return TableSplit(made, tuple(notes))


def _moved(made: NDArray[np.uint8], split: NDArray[np.uint8], keys: Keys) -> str:
    """The clause about rows that were moved to the rest of their cluster."""
    count = int((made != split).sum())
    other = "their other orientation, or what overlaps them," if keys.overlapping else "their other orientation"
    return f"; {count_of(count)} moved to where {other} is" if count else ""


def _chromosomes(table: MpraTable) -> list[str]:
    """The chromosome of each row, "" where it has none: of a column, or of coordinates in names or any other column of texts."""
    column = table.texts("chrom")
    if column is not None:
        return [found[1] if (found := coordinate_in(text)) else text for text in column]
    if (coordinates := coordinates_in(table.table)) is not None:
        return ["" if found is None else found[1] for found in coordinates]
    raise UserError(
        f"{table.path}: --split-by chrom needs a column of chromosomes, or names such as chr1:100-300; it has {table.there};"
        " name the column with --columns chrom=NAME"
    )


def _bare(chrom: str) -> str:
    """A chromosome's name without chr, as both ways are used."""
    name = chrom.strip()
    name = name[3:] if name.lower().startswith("chr") else name
    name = name.removesuffix(".0")  # a number that was read with empty cells beside it
    return name.upper() if name.lower() in ("x", "y", "m", "mt") else name


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "") if names else "none"
