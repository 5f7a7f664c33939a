"""Tables for a terminal, whose numbers survive a narrow one."""

from __future__ import annotations

import csv
import json
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from nrtune.analysis.store.records import STATUSES
from nrtune.orchestrator.lifecycle.terminal import columns, console, encoding_of, legible
from nrtune.trainables.core.outside_text import LINES, visible

SHORTEST_TEXT = 16
"""Characters to which a table's texts are cut at most: beginning and end, which tell names from one another."""


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> None:
    """Print a table whose first `texts` columns are texts.

    Where the terminal is too narrow the numbers stand below the texts, a line each; where that is too wide as well, texts are
    cut, and the last columns of numbers left out, which is said below the table.
    """
    out, encoding = console(), encoding_of(sys.stdout)
    table = [[legible(visible(cell), encoding) for cell in row] for row in (headings, *rows)]
    width = out.width
    if len(max(aligned(table[0], table[1:], texts), key=len)) <= width:
        lines, left_out = aligned(table[0], table[1:], texts), list[str]()
    else:
        above = _cut_to(width, [row[:texts] for row in table], "..." if legible("…", encoding) == "..." else "…")
        below, left_out = _left_out(width - len(INDENT), [row[texts:] for row in table])
        lines = [
            line
            for text, numbers in zip(aligned(above[0], above[1:], texts), aligned(below[0], below[1:], 0), strict=True)
            for line in (text, INDENT + numbers)
        ]
    for line in lines:
        out.print(line.rstrip(), soft_wrap=True)
    if left_out:
        typer.echo(
            fitted(f"No room for {', '.join(left_out)}: a wider terminal shows all, or COLUMNS=200 before the command.")
        )


INDENT = "  "


def _cut_to(width: int, table: Sequence[Sequence[str]], ellipsis: str) -> list[list[str]]:
    """The texts of a table, the widest columns cut until a line fits or nothing can be cut any more."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for _ in range(sum(widths) + 2 * (len(widths) - 1) - width):
        widest = max(range(len(widths)), key=widths.__getitem__)
        widths[widest] = max(widths[widest] - 1, min(widths[widest], SHORTEST_TEXT))
    return [[_cut(cell, width, ellipsis) for cell, width in zip(row, widths, strict=True)] for row in table]


def _cut(text: str, width: int, ellipsis: str) -> str:
    """A text's beginning and end."""
    if len(text) <= width:
        return text
    end = (width - len(ellipsis)) // 2
    return text[: width - len(ellipsis) - end] + ellipsis + text[len(text) - end :]


def _left_out(width: int, table: Sequence[Sequence[str]]) -> tuple[list[list[str]], list[str]]:
    """A table with as many of its columns as a line has room for, one at least, and the headings of the others."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    shown = len(widths)
    while shown > 1 and sum(widths[:shown]) + 2 * (shown - 1) > width:
        shown -= 1
    return [list(row[:shown]) for row in table], list(table[0][shown:])


def write_rows(rows: Sequence[Mapping[str, Any]], form: str) -> None:
    """Write rows to standard output for programs: csv with a heading, empty where a value is unknown, or json."""
    if form == "json":
        sys.stdout.write(json.dumps(list(rows), indent=1) + "\n")
        return
    out = csv.DictWriter(sys.stdout, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    out.writeheader()
    out.writerows(rows)


def fitted(text: str) -> str:
    """Text whose lines are as long as the terminal is wide, or 80 characters where there is none; words stay whole."""
    width = columns(sys.stdout)
    return "\n".join(part for line in visible(text, LINES).split("\n") for part in _fitted_line(line, width))


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


def signed(value: float) -> str:
    """A difference with three decimals and its sign, – for one that is missing."""
    return "–" if math.isnan(value) else f"{value:+.3f}"


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
