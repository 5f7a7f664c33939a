"""Where elements lie on a genome, as their table says: in columns, or in texts such as chr1:100-300."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.data.tables import NOTHING

COLUMNS = (("chrom", "chr", "chromosome"), ("start",), ("end", "stop"))
"""What tables call an element's place, perhaps with a dot and the assembly behind it."""
LOOKED_AT = 100
"""Cells of a column by which it is told whether it holds coordinates: sequences are long to search."""

_COORDINATE = re.compile(
    r"(?<![A-Za-z0-9])(chr[0-9A-Za-z_]+|[0-9]{1,2}|[XYM]|MT):([0-9,]*[0-9])-([0-9,]*[0-9])", re.IGNORECASE
)


class Places(NamedTuple):
    """Chromosome, "" where it is unknown, and bases [start, end) of each row, (N,); NaN where they are unknown.

    Ends that are counted in another way are a base off, which does not matter to what overlaps.
    """

    chrom: NDArray[np.object_]
    start: NDArray[np.float64]
    end: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a place, (N,)."""
        named = np.array([name != "" for name in self.chrom], np.bool_)
        return named & np.isfinite(self.start) & np.isfinite(self.end)


def places_of(table: pd.DataFrame) -> Places | None:
    """The places of a table's rows: of its columns COLUMNS, else of coordinates in texts; None without."""
    names = {
        str(name).strip().lower().partition(".")[0]: place for place, name in reversed(list(enumerate(table.columns)))
    }
    columns = [next((names[name] for name in known if name in names), -1) for known in COLUMNS]
    if -1 not in columns:
        first, *ends = (pd.Series(table.iloc[:, place]) for place in columns)
        chrom = first.fillna("").astype(str).str.strip()
        chrom = chrom.mask(chrom.str.lower().isin(NOTHING), "")
        start, end = (pd.to_numeric(of, errors="coerce").to_numpy(np.float64) for of in ends)
        return Places(chrom.to_numpy(object), start, end)
    found = coordinates_in(table)
    if found is None:
        return None
    chrom_of = np.array(["" if one is None else one[1] for one in found], object)
    start, end = (
        np.array([np.nan if one is None else float(one[group].replace(",", "")) for one in found]) for group in (2, 3)
    )
    return Places(chrom_of, start, end)


def coordinates_in(table: pd.DataFrame) -> list[re.Match[str] | None] | None:
    """What each row's cell holds such as chr1:100-300, of the first column of which most cells hold some; None without one."""
    chosen = np.unique(np.linspace(0, len(table) - 1, min(len(table), LOOKED_AT)).astype(np.int64))
    for place in range(table.shape[1]):
        cells = table.iloc[:, place]
        if not any(isinstance(cell, str) for cell in cells.iloc[chosen]) or not _mostly(cells.iloc[chosen].tolist()):
            continue
        if _mostly(cells.tolist()):
            return [coordinate_in(cell) for cell in cells]
    return None


def coordinate_in(cell: object) -> re.Match[str] | None:
    """Chromosome, start and end as groups of a match, such as of chr1:100-300, where a cell holds that."""
    return _COORDINATE.search(cell) if isinstance(cell, str) else None


def _mostly(cells: list[object]) -> bool:
    return 2 * sum(coordinate_in(cell) is not None for cell in cells) > len(cells)
