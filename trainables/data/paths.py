"""How a data set is named: one file, or three of train, val and test, and what a table's columns are for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Role = Literal["seq", "activity", "noise", "replicates", "split", "fold", "name", "rev", "chrom"]
"""What a column is for."""
PathOrSplits = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def split_paths(path: PathOrSplits) -> tuple[Path, ...]:
    """One path, or those of train, val and test, also where they are one text with commas that is no file's own name.

    Another number of files that are all there is returned as well, for the reader to refuse.
    """
    if not isinstance(path, str | os.PathLike):
        return tuple(map(Path, path))
    parts = tuple(part.strip() for part in os.fspath(path).split(","))
    several = all(parts) and not os.path.lexists(path) and (len(parts) == 3 or all(map(os.path.lexists, parts)))
    return tuple(map(Path, parts)) if several else (Path(path),)
