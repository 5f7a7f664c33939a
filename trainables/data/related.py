"""Which sequences of a data set are not independent: two orientations of an element, and elements that overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.data.coordinates import Places, places_of
from nrtune.trainables.data.orientation import Orientations


def related_rows(orientations: Orientations, table: pd.DataFrame | None = None) -> NDArray[np.int64]:
    """The cluster of each row (N,), named after the first row of it.

    orientations: whose keys rows of one element share. table: N rows; where it says where elements lie, those that overlap are
    one cluster, and so is a chain of them.
    """
    element = first_rows(orientations.keys)
    cluster = element
    places = None if table is None else places_of(table)
    place = None if places is None else _overlapping(places)
    while place is not None:  # until neither joins any more
        of_place = pd.Series(cluster).groupby(place).transform("min").to_numpy()
        joined = pd.Series(of_place).groupby(element).transform("min").to_numpy()
        if (joined == cluster).all():
            break
        cluster = joined
    return cluster


def cluster_keys(cluster: NDArray[np.int64], keys: Sequence[bytes]) -> list[bytes]:
    """A key of each row (N,) that those of its cluster share: that of the element which sorts first, whatever the rows' order."""
    first: dict[int, bytes] = {}
    for of, key in zip(cluster.tolist(), keys, strict=True):
        first[of] = min(first.get(of, key), key)
    return [first[of] for of in cluster.tolist()]


def first_rows(keys: Sequence[bytes]) -> NDArray[np.int64]:
    """For each row (N,) the first that has its key."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], np.int64)


def _overlapping(places: Places) -> NDArray[np.int64]:
    """A number for each chain of overlapping elements, (N,), and for each element of unknown place."""
    known = places.known
    chrom, start, end = (of[known] for of in places)
    number = -1 - np.arange(len(known))
    order = np.lexsort((start, chrom.astype(str)))
    elements = pd.DataFrame({"chrom": chrom, "start": start, "end": end}).iloc[order]
    reached = elements.groupby("chrom", sort=False)["end"].cummax()
    same = elements["chrom"].eq(elements["chrom"].shift()) & (elements["start"] < reached.shift())
    number[np.flatnonzero(known)[order]] = (~same).cumsum().to_numpy()
    return number
