"""Whether what is scored was trained on: training sequences that hold a piece of a benchmark's elements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.audit.kmers import KmerSet, in_chunks
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import ELEMENT_IN_TRAINING, Finding

OVERLAP = 40
"""Bases in a row, on either strand, that a training sequence has of an element's windows."""


def overlapping_rows(dataset: Dataset, variants: VariantSet) -> Mapping[str, NDArray[np.int64]]:
    """Of each element of a benchmark the training rows that hold OVERLAP bases in a row of its reference windows."""
    elements = [
        variants.windows[np.unique(variants.ref_window[variants.element == number])]
        for number in range(len(variants.elements))
    ]
    of_element = [
        KmerSet(np.concatenate([found[known] for _, found, known in in_chunks(windows, OVERLAP)] or [_NONE]))
        for windows in elements
    ]
    every = KmerSet(np.concatenate([kmers.sorted for kmers in of_element] or [_NONE]))
    train = dataset.rows("train")
    hits: list[list[NDArray[np.int64]]] = [[] for _ in elements]
    for first, found, known in in_chunks(dataset.tokens[train], OVERLAP):
        hashes, rows = found[known], np.nonzero(known)[0] + first
        which, _ = every.find(hashes)
        for number, kmers in enumerate(of_element if len(which) else ()):
            hits[number].append(rows[which[kmers.find(hashes[which])[0]]])
    return {
        name: train[np.unique(np.concatenate(part))] if part else train[:0]
        for name, part in zip(variants.elements, hits, strict=True)
    }


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
