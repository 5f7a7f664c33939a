"""Whether what is held out was held out: sequences that stand in two splits, or several times in one."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.audit.copies import IDENTITY, SHARED, Copies, CopyKeys, find_copies
from nrtune.trainables.data.dataset import SPLITS, Dataset, shared_ends
from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.source_rows import SourceRows

MANY = 0.05
"""Near copies are a warning from this share of a split on: elements of a genome that overlap have some."""

ADAPTERS = 0.9
"""Bases at the ends that this share of the rows have are adapters: controls may lack them."""

_AGAINST = ((("train",), ("val", "test")), (("val",), ("test",)))
_USED = {"train": "trained on", "val": "selected on"}


def audit_splits(dataset: Dataset) -> list[Finding]:
    """Copies of sequences across splits and within one, exact ones and near ones, on either strand, with and without adapters."""
    ends = shared_ends(dataset.tokens, ADAPTERS)
    keys = CopyKeys.of(dataset.tokens, ends)
    found: list[Finding] = []
    for (reference,), held_out in _AGAINST:
        of, asked = dataset.rows(reference), np.concatenate([dataset.rows(split) for split in held_out])
        copies = find_copies(dataset.tokens[of], dataset.tokens[asked], ends, (keys.at(of), keys.at(asked)))
        found += _across(dataset, of, asked, copies, reference)
    return [*found, *(finding for split in SPLITS for finding in _within(dataset, split))]


def _across(
    dataset: Dataset, of: NDArray[np.int64], asked: NDArray[np.int64], copies: Copies, reference: str
) -> list[Finding]:
    """What is found of the rows asked that have a copy among others, those of the reference split."""
    found: list[Finding] = []
    for code in np.unique(dataset.split[asked]):
        here = dataset.split[asked] == code
        exact, near = here & (copies.same >= 0), here & (copies.same < 0) & (copies.near >= 0)
        split, total = SPLITS[code], int(here.sum())
        found += flagged(
            exact,
            "duplicates-across-splits",
            "error",
            f"sequences stand in {reference} too, on one strand or the other: they were {_USED[reference]}",
            where=split,
            of=total,
            example=functools.partial(_pair, dataset.places, asked, of, copies.same),
            advice="keep all copies of a sequence in one split",
        )
        found += flagged(
            near,
            "near-copies-across-splits",
            "warning" if near.sum() >= MANY * total else "note",
            f"sequences have {SHARED} bases in a row in common with one in {reference}, or are"
            f" {IDENTITY * 100:g} % identical with it",
            where=split,
            of=total,
            example=functools.partial(_pair, dataset.places, asked, of, copies.near),
            advice="split by chromosome, or keep overlapping elements in one split",
        )
    return found


def _within(dataset: Dataset, split: str) -> list[Finding]:
    """Rows of a split whose whole sequence another row of it has, on the same strand."""
    rows = dataset.rows(split)
    first: dict[bytes, int] = {}
    again = [(row, first.setdefault(dataset.tokens[row].tobytes(), row)) for row in rows.tolist()]
    again = [(row, before) for row, before in again if row != before]
    if not again:
        return []
    copied = all(dataset.activity[row] == dataset.activity[before] for row, before in again)
    return [
        Finding(
            id="duplicate-rows",
            severity="warning",
            what="rows have the sequence of one above"
            + (" and its activity, as copies have: it counts as often as it stands there" if copied else ""),
            where=split,
            count=len(again),
            of=len(rows),
            example=dataset.places.two(*again[0]),
            advice="keep one row of each" if copied else "average them, unless they are measurements of their own",
        )
    ]


def _pair(
    places: SourceRows, asked: NDArray[np.int64], of: NDArray[np.int64], copy: NDArray[np.int64], place: int
) -> str:
    """The row asked at a place, and the one that it is a copy of."""
    return places.two(int(asked[place]), int(of[copy[place]]))
