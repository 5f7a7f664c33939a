"""Which elements are one locus: measurements of the same bases are one piece of evidence, however many they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def loci_of(element: ArrayLike, chrom: ArrayLike | None, pos: ArrayLike) -> dict[str, str]:
    """The locus of each element, called after the first of its elements, in the order in which they appear.

    element, chrom, pos: (V,) of variants. Elements with a position in common are one locus, and so are those of a chain of
    such. chrom: None, or "" for a variant, where it is unknown: then nothing is known to overlap.
    """
    names = pd.Series(np.asarray(element).astype(str))
    locus = {name: name for name in map(str, names.unique())}
    if chrom is None:
        return locus
    sites = pd.DataFrame({"element": names, "chrom": np.asarray(chrom).astype(str), "pos": np.asarray(pos)})
    sites = sites[sites["chrom"] != ""].drop_duplicates()
    sites["first"] = sites.groupby(["chrom", "pos"], sort=False)["element"].transform("first")
    for one, other in sites[["first", "element"]].drop_duplicates().itertuples(index=False):
        if locus[one] != locus[other]:
            merged = {locus[one], locus[other]}
            first = next(name for name in locus if name in merged)
            locus.update({name: first for name, of in locus.items() if of in merged})
    return locus


def locus_weights(elements: Sequence[str], loci: Mapping[str, str]) -> dict[str, float]:
    """What each element counts for in a mean: loci the same, the elements of one share its weight; they add up to 1.

    loci: the locus of an element; one that it does not name is a locus of its own.
    """
    of = [loci.get(element, element) for element in elements]
    size = Counter(of)
    return {element: 1 / len(size) / size[locus] for element, locus in zip(elements, of, strict=True)}
