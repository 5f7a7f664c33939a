"""Tables without a header, or whose header lacks a name: read where each column can be one thing alone, and said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.table_splits import WORDS
from nrtune.trainables.data.tables import NOTHING, NUMBER

LONG = 10
"""Bases that are no name of a column; fewer, beside a number, are none either."""
_SEQUENCE = re.compile("[ACGTUN]{4,}", re.IGNORECASE)
_LETTERS = re.compile("[A-Z]{4,}", re.IGNORECASE)


def headed(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, str | None]:
    """A table whose first line was taken for its header with names of columns, where that is a row, and what is said of it.

    Raises UserError where it is one, and columns may be several things.
    """
    first = [str(name).strip() for name in table.columns]
    numbers = any(NUMBER.fullmatch(name) for name in first)
    if not any(_SEQUENCE.fullmatch(name) and (numbers or len(name) >= LONG) for name in first):
        return table, None
    rows = pd.concat(
        [pd.DataFrame([first], dtype=object), table.set_axis(range(len(first)), axis=1)], ignore_index=True
    )
    kinds = [_kind([str(cell).strip() for cell in rows[place]]) for place in rows]
    wanted = {"seq": "sequences", "mean_value": "numbers"}
    for kind in wanted.values():
        if (count := kinds.count(kind)) != 1:
            raise UserError(
                f"{path}: its first line holds a sequence, no names of columns, and {count or 'none'} of its {len(kinds)} columns"
                f" {'holds' if count == 0 else 'hold'} {kind}, so that they can't be told; write a line above it, such as seq and"
                " mean_value"
            )
    names = [f"column {place + 1}" for place in range(len(kinds))]
    for name, kind in (*wanted.items(), *(("split", "splits"), ("name", "names"))):
        if kinds.count(kind) == 1:
            names[kinds.index(kind)] = name
    taken = ", ".join(f"column {place + 1} for {name}" for place, name in enumerate(names) if " " not in name)
    return rows.set_axis(names, axis=1), f"it has no names of columns: {taken} by what they hold"


def _kind(cells: Sequence[str]) -> str:
    """What a column holds, in a word; "" for what is no one thing."""
    if all(_LETTERS.fullmatch(cell) for cell in cells) and _SEQUENCE.fullmatch(cells[0]):
        return "sequences"
    if all(NUMBER.fullmatch(cell) or cell.lower() in NOTHING for cell in cells):
        return "numbers"
    if all(cell.lower() in WORDS for cell in cells):
        return "splits"
    return "names" if len(set(cells)) == len(cells) else ""


def layout_finding(where: str, said: str) -> Finding:
    """That a table was read in another way than its header says."""
    return Finding(
        id="table-layout",
        severity="note",
        what=said,
        where=where,
        advice="write a header of all columns if that is wrong",
    )
