"""A report as one HTML page that needs no other file: figures, looks and what its tables can do are within it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

import jinja2

from nrtune.analysis.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Heading,
    Paragraph,
    Picture,
    Report,
    Step,
    Table,
    as_text,
)

PIXELS_AN_INCH = 160
"""On a screen figures are larger than on paper, so that their labels are as large as the text."""

LONG = 40
"""Tables of more rows scroll within the page."""

_KINDS: dict[type, str] = {Paragraph: "paragraph", Bullets: "bullets", Step: "step", Table: "table"}


class Section(NamedTuple):
    """A heading, with an id to go to, and what stands below it; figures together, last."""

    heading: Heading
    id: str
    blocks: list[Block]
    pictures: list[Picture]


def html_page(report: Report) -> str:
    """The report as a page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nrtune.analysis.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: as_text(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.globals |= {"look": _look, "kind": lambda block: _KINDS[type(block)], "chart_library": _chart_library}
    page = environment.get_template("report.html.j2")
    return page.render(report=report, sections=list(_sections(report)), pixels=PIXELS_AN_INCH, long=LONG)


def _chart_library() -> str:
    """Chart.js without the address of its source map, which is not beside a report."""
    script = resources.files("nrtune.analysis.report").joinpath("chart_js", "chart.umd.min.js").read_text("utf-8")
    return script.partition("//# sourceMappingURL")[0]


def _sections(report: Report) -> Iterator[Section]:
    found: list[Section] = []
    for block in report.blocks:
        if isinstance(block, Heading):
            found.append(Section(block, re.sub(r"\W+", "-", block.text.lower()).strip("-"), [], []))
        elif isinstance(block, Picture):
            found[-1].pictures.append(block)
        else:
            found[-1].blocks.append(block)
    return iter(found)


def _look(column: Column, cell: Cell | None = None) -> str:
    """The classes of a column's cell, or of its head."""
    number = "n" if column.numeric else "i" if cell is not None and isinstance(cell.key, float) else ""
    return " ".join(filter(None, (number, "minor" if column.minor else "")))
