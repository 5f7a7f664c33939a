"""Which sequences of a data set are not independent: two orientations of an element, and elements that overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.data.dataset import shared_ends
from nrtune.trainables.data.sequences import reverse_complement

COORDINATES = (("chrom", "chr"), ("start",), ("end", "stop"))
"""What tables call an element's place, perhaps with a dot and the assembly behind it."""


def orientation_pairs(tokens: NDArray[np.uint8]) -> tuple[NDArray[np.int64], list[bytes]]:
    """For every row of (N, length) its partner's row or -1, and a key that both orientations of an element share.

    One orientation's insert is the reverse complement of the other's, between adapters that all sequences share.
    """
    # Adapters shared by chance with a few bases of the inserts would hide pairs: the two must be of equal length.
    margin = min(shared_ends(tokens))
    inner = tokens[:, margin : tokens.shape[1] - margin]
    forward = [row.tobytes() for row in np.ascontiguousarray(inner)]
    reverse = [row.tobytes() for row in reverse_complement(inner)]
    row_of = {sequence: row for row, sequence in enumerate(forward)}
    partner = np.array([row_of.get(sequence, -1) for sequence in reverse], np.int64)
    partner[partner == np.arange(len(partner))] = -1
    mutual = (partner >= 0) & (partner[partner] == np.arange(len(partner)))
    partner[~mutual] = -1
    return partner, [min(a, b) for a, b in zip(forward, reverse, strict=True)]


def related_rows(partner: NDArray[np.int64], table: pd.DataFrame | None = None) -> NDArray[np.int64]:
    """The cluster of each row (N,), named after the first row of it.

    partner: the row of the other orientation, or -1. table: N rows; where it has COORDINATES, 0-based and half-open, elements
    that overlap are one cluster, and so is a chain of them.
    """
    rows = np.arange(len(partner))
    cluster = np.minimum(rows, np.where(partner >= 0, partner, rows))
    place = None if table is None else _overlapping(table)
    while place is not None:  # until neither joins any more
        of_place = pd.Series(cluster).groupby(place).transform("min").to_numpy()
        joined = np.minimum(of_place, np.where(partner >= 0, of_place[partner], of_place))
        if (joined == cluster).all():
            break
        cluster = joined
    return cluster


def _overlapping(table: pd.DataFrame) -> NDArray[np.int64] | None:
    """A number for each chain of overlapping elements, (N,), and for each element of unknown place; None without coordinates."""
    names = {str(name).lower().partition(".")[0]: name for name in reversed(table.columns)}
    columns = [next((names[name] for name in known if name in names), None) for known in COORDINATES]
    if any(name is None for name in columns):
        return None
    chrom = table[columns[0]].astype(str)
    start, end = (pd.to_numeric(table[name], errors="coerce") for name in columns[1:])
    known = (table[columns[0]].notna() & start.notna() & end.notna()).to_numpy(bool)
    number = -1 - np.arange(len(table))
    order = np.lexsort((start[known], chrom[known]))
    places = pd.DataFrame({"chrom": chrom[known], "start": start[known], "end": end[known]}).iloc[order]
    reached = places.groupby("chrom", sort=False)["end"].cummax()
    same = places["chrom"].eq(places["chrom"].shift()) & (places["start"] < reached.shift())
    number[np.flatnonzero(known)[order]] = (~same).cumsum().to_numpy()
    return number
