"""Which elements are one locus: measurements of the same bases are one piece of evidence, however many they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

SATURATED = 0.25
"""The share of a stretch's positions that have variants, from which on the element is that stretch."""


def loci_of(element: ArrayLike, chrom: ArrayLike | None, pos: ArrayLike) -> dict[str, str]:
    """The locus of each element, called after the first of its elements, in the order in which they appear.

    element, chrom, pos: (V,) of variants. Elements with a position in common are one locus, and so are those of a chain of
    such, and saturated stretches that overlap, of which each data set may lack some positions. chrom: None, or "" for a
    variant, where it is unknown: then nothing is known to overlap.
    """
    names = pd.Series(np.asarray(element).astype(str))
    locus = {name: name for name in map(str, names.unique())}
    if chrom is None:
        return locus
    sites = pd.DataFrame({"element": names, "chrom": np.asarray(chrom).astype(str), "pos": np.asarray(pos)})
    sites = sites[sites["chrom"] != ""].drop_duplicates()
    sites["first"] = sites.groupby(["chrom", "pos"], sort=False)["element"].transform("first")
    shared = sites[["first", "element"]].drop_duplicates().itertuples(index=False, name=None)
    for one, other in (*shared, *_overlapping(sites)):
        if locus[one] != locus[other]:
            merged = {locus[one], locus[other]}
            first = next(name for name in locus if name in merged)
            locus.update({name: first for name, of in locus.items() if of in merged})
    return locus


def _overlapping(sites: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Pairs of elements, each saturated on a stretch of one chromosome, whose stretches overlap."""
    stretches = sites.groupby(["chrom", "element"], sort=True)["pos"].agg(["min", "max", "nunique"]).reset_index()
    dense = stretches["nunique"] >= SATURATED * (stretches["max"] - stretches["min"] + 1)
    for _, here in stretches[dense].sort_values(["chrom", "min"]).groupby("chrom", sort=False):
        before, end = "", -1
        for name, first, last in zip(here["element"], here["min"], here["max"], strict=True):
            if first <= end:
                yield before, str(name)
            if last > end:
                before, end = str(name), int(last)


def locus_weights(elements: Sequence[str], loci: Mapping[str, str]) -> dict[str, float]:
    """What each element counts for in a mean: loci the same, the elements of one share its weight; they add up to 1.

    loci: the locus of an element; one that it does not name is a locus of its own.
    """
    of = [loci.get(element, element) for element in elements]
    size = Counter(of)
    return {element: 1 / len(size) / size[locus] for element, locus in zip(elements, of, strict=True)}
