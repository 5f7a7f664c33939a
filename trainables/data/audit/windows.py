"""Whether sequences hold bases: those that are N for the larger part, and those beyond what is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding, flagged
from nrtune.trainables.data.sequences import N_TOKEN

MOSTLY = 0.5
"""A sequence of so many N tells a model little."""


def audit_sequences(dataset: Dataset) -> list[Finding]:
    """What of a data set's sequences is N."""
    return _unknown(dataset.tokens, "sequences", dataset.name, dataset.places.one)


def audit_windows(variants: VariantSet) -> list[Finding]:
    """What of the windows of a benchmark's variants is N: masked, or beyond the reference's ends."""
    return _unknown(
        variants.windows[variants.ref_window], "variants' windows", variants.title, lambda place: f"variant {place + 1}"
    )


def _unknown(tokens: NDArray[np.uint8], what: str, where: str, example: Callable[[int], str]) -> list[Finding]:
    share = (tokens == N_TOKEN).mean(axis=1) if tokens.size else np.zeros(len(tokens))
    mostly, some = share >= MOSTLY, (share > 0) & (share < MOSTLY)

    return [
        *flagged(
            mostly, "mostly-n", "warning", f"{what} are N for {MOSTLY * 100:g} % or more", where=where, example=example,
            advice="leave them out, or see whether the sequences are masked",
        ),
        *flagged(some, "holds-n", "note", f"{what} hold N", where=where, example=example),
    ]  # fmt: skip
