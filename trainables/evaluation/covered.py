"""Which elements a mean is over: those with enough variants, which may be others in another part of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nrtune.trainables.evaluation.metrics import MIN_STRATUM

NOT_STRATA = ("element", "part", "n", "deletions", "ref_mismatch", "matched")
"""The columns of `VariantSet.counts` that are not named after a stratum."""


def uneven_means(counts: pd.DataFrame, strata: Sequence[str]) -> list[str]:
    """A sentence for each stratum whose means are over other elements in one part than in another.

    counts: as of `VariantSet.counts`. strata: names of its columns beside `n`, which is all variants.
    """
    matched = counts[counts["matched"]]
    found = []
    for stratum, column in {"all": "n", **{name: name for name in strata}}.items():
        enough = matched[matched[column] >= MIN_STRATUM]
        over = {str(part): set(enough["element"][enough["part"] == part]) for part in matched["part"].unique()}
        lacking = [
            f"{part} leaves out {', '.join(sorted(left))}"
            for part, elements in over.items()
            if (left := set[str]().union(*over.values()) - elements)
        ]
        if lacking:
            of = "all variants" if stratum == "all" else f"{stratum.upper()} variants"
            found.append(
                f"means over {of} are not of the same elements: {'; '.join(lacking)} (fewer than {MIN_STRATUM} variants)"
            )
    return found
