"""A report as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nrtune.analysis.report.document import (
    Block,
    Bullets,
    Heading,
    Opening,
    Paragraph,
    Picture,
    Report,
    Step,
    Table,
    as_text,
)


def markdown(report: Report) -> str:
    """The report as GitHub's Markdown; its figures are the files beside it."""
    parts = [f"# {_md(report.title)}", *_opening(report.opening), *map(_markdown, report.blocks)]
    return "\n\n".join(parts) + "\n"


def _opening(opening: Opening) -> Iterator[str]:
    yield f"**{_md(opening.verdict)}**"
    if opening.picture is not None:
        yield _markdown(opening.picture)
    if opening.steps:
        yield "## What next"
    yield from map(_markdown, opening.steps)
    if opening.caveats:
        yield "## Bear in mind"
        yield _markdown(Bullets(opening.caveats))


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_md(text)}"
        case Paragraph(text):
            return _md(text)
        case Bullets(items):
            return "\n".join(f"- {_md(item)}" for item in items)
        case Step(text, command):
            return _md(text) + (f":\n\n```sh\n{as_text(command)}\n```" if command else ".")
        case Table(caption, columns, rows):
            lines = [[_md(column.title) for column in columns], ["--:" if c.numeric else ":--" for c in columns]]
            lines += [[_md(cell.text) for cell in row] for row in rows]
            return f"{_md(caption)}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
        case Picture(name, title, caption):
            return f"### {_md(title)}\n\n![{_md(title)}](figures/{name}.svg)\n\n{_md(caption)}"


def _md(text: str) -> str:
    return re.sub(r"([\\`*\[\]|<])", r"\\\1", as_text(" ".join(text.split())))
