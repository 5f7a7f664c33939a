"""Tables for a terminal, whose numbers survive a narrow one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from analysis.books import STATUSES

SHORTEST_TEXT = 6
"""Characters to which a table's texts are cut in a narrow terminal."""


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> None:
    """Print a table whose first `texts` columns are texts; where the terminal is narrow they are cut, numbers are not."""
    console = Console(highlight=False)
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    over = sum(widths) + 2 * (len(widths) - 1) - console.width
    for _ in range(over):
        widest = max(range(texts), key=widths.__getitem__)
        widths[widest] = max(widths[widest] - 1, SHORTEST_TEXT)
    shown = Table(box=None, pad_edge=False)
    for number, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        shown.add_column(heading, justify="left" if number < texts else "right", no_wrap=True, width=width)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def by_status(counts: Mapping[str, int]) -> str:
    """How many trials ended how: `3 finished, 1 failed`; "" for none."""
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts.get(status))


def cell(value: Any) -> str:
    """A number with three decimals, – for one that is missing; anything else as it is."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return str(value)
