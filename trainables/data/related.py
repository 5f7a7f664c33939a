"""Which sequences of a data set are not independent: two orientations of an element, and elements that overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.data.columns import NOTHING
from nrtune.trainables.data.orientation import Orientations

COORDINATES = (("chrom", "chr", "chromosome"), ("start",), ("end", "stop"))
"""What tables call an element's place, perhaps with a dot and the assembly behind it."""


def related_rows(orientations: Orientations, table: pd.DataFrame | None = None) -> NDArray[np.int64]:
    """The cluster of each row (N,), named after the first row of it.

    orientations: whose keys rows of one element share. table: N rows; where it has COORDINATES, 0-based and half-open, elements
    that overlap are one cluster, and so is a chain of them.
    """
    element = first_rows(orientations.keys)
    cluster = element
    place = None if table is None else _overlapping(table)
    while place is not None:  # until neither joins any more
        of_place = pd.Series(cluster).groupby(place).transform("min").to_numpy()
        joined = pd.Series(of_place).groupby(element).transform("min").to_numpy()
        if (joined == cluster).all():
            break
        cluster = joined
    return cluster


def first_rows(keys: Sequence[bytes]) -> NDArray[np.int64]:
    """For each row (N,) the first that has its key."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], np.int64)


def _overlapping(table: pd.DataFrame) -> NDArray[np.int64] | None:
    """A number for each chain of overlapping elements, (N,), and for each element of unknown place; None without coordinates."""
    names = {
        str(name).strip().lower().partition(".")[0]: place for place, name in reversed(list(enumerate(table.columns)))
    }
    places = [next((names[name] for name in known if name in names), -1) for known in COORDINATES]
    if -1 in places:
        return None
    column, *ends = (pd.Series(table.iloc[:, place]) for place in places)
    chrom = column.fillna("").astype(str).str.strip()
    start, end = (pd.to_numeric(of, errors="coerce") for of in ends)
    known = (~chrom.str.lower().isin(NOTHING) & start.notna() & end.notna()).to_numpy(bool)
    number = -1 - np.arange(len(table))
    order = np.lexsort((start[known], chrom[known]))
    elements = pd.DataFrame({"chrom": chrom[known], "start": start[known], "end": end[known]}).iloc[order]
    reached = elements.groupby("chrom", sort=False)["end"].cummax()
    same = elements["chrom"].eq(elements["chrom"].shift()) & (elements["start"] < reached.shift())
    number[np.flatnonzero(known)[order]] = (~same).cumsum().to_numpy()
    return number
