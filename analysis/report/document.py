"""What a report is made of, whatever it is written as: headings, paragraphs, tables, figures."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nrtune.analysis.wording import number, p_value
from nrtune.trainables.core.outside_text import LINES, visible


def as_text(text: str) -> str:
    """A text without what a page or a terminal obeys, that UTF-8 can hold."""
    return visible(text, LINES).encode("utf-8", "backslashreplace").decode("utf-8")


class Cell(NamedTuple):
    """What a table shows, and the number or text that it is sorted by; None goes last."""

    text: str
    key: float | str | None


def text_cell(text: str) -> Cell:
    """A text, sorted by itself; – is nothing."""
    return Cell(text, None if text == "–" else text)


def number_cell(value: Any, *, signed: bool = False, digits: int = 3) -> Cell:
    """A number, to three decimals or so many; – where undefined."""
    if value is None or not math.isfinite(value):
        return Cell("–", None)
    return Cell(number(float(value), signed) if digits == 3 else f"{value:.{digits}f}", float(value))


def interval_cell(low: float, high: float, *, signed: bool = False, digits: int = 3) -> Cell:
    """Two ends, sorted by the lower; – where undefined."""
    ends = [number_cell(low, signed=signed, digits=digits), number_cell(high, signed=signed, digits=digits)]
    return Cell("–", None) if ends[0].key is None else Cell(" to ".join(end.text for end in ends), ends[0].key)


def p_cell(value: float) -> Cell:
    """A p-value; – where undefined."""
    return Cell(p_value(value), None if math.isnan(value) else float(value))


class Column(NamedTuple):
    """A table's column; numbers stand to the right. minor: where there is little room it is shown on demand."""

    title: str
    numeric: bool = False
    minor: bool = False


@dataclasses.dataclass(frozen=True)
class Heading:
    """A section's heading. folded: of details, which a page shows when they are asked for."""

    text: str
    folded: bool = False


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclasses.dataclass(frozen=True)
class Bullets:
    """Sentences, one below another."""

    items: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that can be sorted by any column; its first column names the row. ids: addresses of rows within a page."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    ids: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure as it lies beside the report; `inches` is its width on paper.

    chart: what a page that has scripts shows first, `scatter`, `ranking` or `curves` of the report's points; "" for nothing.
    """

    name: str
    title: str
    caption: str
    svg: Path
    inches: float
    chart: str = ""

    @property
    def data_uri(self) -> str:
        """The figure itself, for a page that needs no other file."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.read_bytes()).decode("ascii")


@dataclasses.dataclass(frozen=True)
class Step:
    """What to do, for whom it may concern, and the command that does it; "" where none does."""

    text: str
    command: str = ""


@dataclasses.dataclass(frozen=True)
class Opening:
    """What is read first: what can be told, the improvements as a figure, what to do next, and what to bear in mind."""

    verdict: str
    steps: tuple[Step, ...] = ()
    caveats: tuple[str, ...] = ()
    picture: Picture | None = None


Block = Heading | Paragraph | Bullets | Step | Table | Picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What a report says, in order. winners: as `nrtune best --json` prints them. points: of charts; None without any."""

    title: str
    opening: Opening
    blocks: tuple[Block, ...]
    winners: Mapping[str, Any]
    points: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> str:
        """What can be told of the winners, in a sentence or two."""
        return self.opening.verdict
