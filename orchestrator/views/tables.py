"""Tables for a terminal, whose numbers survive a narrow one."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from nrtune.analysis.store.records import STATUSES

SHORTEST_TEXT = 6
"""Characters to which a table's texts are cut in a narrow terminal."""


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> None:
    """Print a table whose first `texts` columns are texts; where the terminal is narrow they are cut, numbers are not.

    Where that is not enough the last columns are left out, and named below the table.
    """
    console = Console(highlight=False)
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    shortest = [min(width, SHORTEST_TEXT) if n < texts else width for n, width in enumerate(widths)]
    shown = len(widths)
    while shown > texts + 1 and sum(shortest[:shown]) + 2 * (shown - 1) > console.width:
        shown -= 1
    for _ in range(sum(widths[:shown]) + 2 * (shown - 1) - console.width):
        widest = max(range(texts), key=widths.__getitem__)
        widths[widest] = max(widths[widest] - 1, shortest[widest])
    cut = [[_cut(cell, width) for cell, width in zip(row, widths, strict=False)] for row in (headings, *rows)]
    for line in aligned(cut[0][:shown], [row[:shown] for row in cut[1:]], texts):
        console.print(line, markup=False, soft_wrap=True)
    if left_out := headings[shown:]:
        console.print(
            f"No room for {', '.join(left_out)}: a wider terminal shows all, or COLUMNS=200 before the command."
        )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def fitted(text: str) -> str:
    """Text whose lines are as long as the terminal is wide, or 80 characters where there is none; words stay whole."""
    width = shutil.get_terminal_size().columns
    return "\n".join(part for line in text.split("\n") for part in _fitted_line(line, width))


def _fitted_line(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(line, width, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False)


def by_status(counts: Mapping[str, int]) -> str:
    """How many trials ended how: `3 finished, 1 failed`; "" for none."""
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts.get(status))


def cell(value: Any) -> str:
    """A number with three decimals, – for one that is missing; anything else as it is."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> list[str]:
    """Lines of a table of plain text: the first columns, so many as are texts, to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if n >= texts else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [headings, *rows]
    ]
