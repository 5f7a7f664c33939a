"""Whether what is scored was trained on: training sequences that hold a piece of a benchmark's elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.audit.kmers import PACKED, KmerSet, in_chunks
from nrtune.trainables.data.audit.splits import ADAPTERS
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset, shared_ends
from nrtune.trainables.data.findings import ELEMENT_IN_TRAINING, Finding
from nrtune.trainables.data.sequences import N_TOKEN

OVERLAP = 40
"""Bases in a row, on either strand, that a training sequence has of an element's windows; all of a shorter one."""


def overlapping_rows(dataset: Dataset, variants: VariantSet) -> Mapping[str, NDArray[np.int64]]:
    """Of each element of a benchmark the training rows that hold OVERLAP bases in a row of its windows, of either allele.

    Adapters do not count. A training sequence, or a window, that is shorter is looked for as a whole, from PACKED bases on.
    """
    train = dataset.rows("train")
    left, right = shared_ends(dataset.tokens, ADAPTERS)
    tokens = dataset.tokens[train, left : dataset.length - right]
    windows = [variants.windows[_windows_of(variants, number)] for number in range(len(variants.elements))]
    found = _sharing(tokens, windows, OVERLAP)
    known = (tokens != N_TOKEN).sum(axis=1)
    for k in _short(known):
        rows = np.flatnonzero(known == k)
        for of_all, some in zip(found, _sharing(tokens[rows], windows, k), strict=True):
            of_all.append(rows[np.concatenate(some)] if some else rows[:0])
    for k in _short(np.concatenate([(of != N_TOKEN).sum(axis=1) for of in windows] or [known[:0]])):
        short = [of[(of != N_TOKEN).sum(axis=1) == k] for of in windows]
        for of_all, some in zip(found, _sharing(tokens, short, k), strict=True):
            of_all.extend(some)
    return {
        name: train[np.unique(np.concatenate(part))] if part else train[:0]
        for name, part in zip(variants.elements, found, strict=True)
    }


def _windows_of(variants: VariantSet, number: int) -> NDArray[np.int64]:
    """The windows of an element's variants, of both alleles."""
    here = variants.element == number
    return np.unique(np.concatenate([variants.ref_window[here], variants.alt_window[here]]))


def _short(lengths: NDArray[np.int64]) -> list[int]:
    """The lengths that are below OVERLAP, and long enough to be found."""
    return [int(length) for length in np.unique(lengths[(lengths >= PACKED) & (lengths < OVERLAP)])]


def _sharing(tokens: NDArray[np.uint8], windows: Sequence[NDArray[np.uint8]], k: int) -> list[list[NDArray[np.int64]]]:
    """Of each element, whose windows are (W, length), in parts the rows of tokens that have k of their bases in a row."""
    of_element = [
        KmerSet(np.concatenate([found[known] for _, found, known in in_chunks(of, k)] or [_NONE])) for of in windows
    ]
    every = KmerSet(np.concatenate([kmers.sorted for kmers in of_element] or [_NONE]))
    hits: list[list[NDArray[np.int64]]] = [[] for _ in windows]
    for first, found, known in in_chunks(tokens, k):
        hashes, rows = found[known], np.nonzero(known)[0] + first
        which, _ = every.find(hashes)
        for number, kmers in enumerate(of_element if len(which) else ()):
            hits[number].append(np.unique(rows[which[kmers.find(hashes[which])[0]]]))
    return hits


_NONE = np.empty(0, np.uint64)


def audit_overlap(dataset: Dataset, variants: VariantSet) -> list[Finding]:
    """One finding an element that training sequences overlap; a note, where no mean is over it."""
    return [
        Finding(
            id=ELEMENT_IN_TRAINING,
            severity="warning" if element in variants.matched else "note",
            what=f"training sequences hold {OVERLAP} bases or more of its windows: its score is not of a sequence never seen",
            where=f"{variants.title} {element}",
            count=len(rows),
            of=len(dataset.rows("train")),
            example=dataset.places.one(int(rows[0])),
            advice="leave them out of the training data, or read this element's score with that in mind",
            element=element,
        )
        for element, rows in overlapping_rows(dataset, variants).items()
        if len(rows)
    ]
