"""A report as one HTML page that needs no other file: figures, looks and the sorting of tables are within it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from html import escape

from nrtune.analysis.report.document import Block, Bullets, Cell, Column, Heading, Paragraph, Picture, Report, Table

PIXELS_AN_INCH = 160
"""On a screen figures are larger than on paper, so that their labels are as large as the text."""

STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; padding: 0 1.25rem; max-width: 76rem; background: #fff; color: #1a1a1a;
  font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .6rem; padding-bottom: .2rem; border-bottom: 1px solid #ccc; }
p, li { max-width: 50rem; }
ul { padding-left: 1.25rem; margin: .6rem 0; }
li { margin: .2rem 0; }
.verdict { font-size: 1.15rem; font-weight: 600; padding: .7rem 1rem; background: #f2f5f9; border-left: 4px solid #36658f; }
.table { overflow-x: auto; margin: 0 0 1.2rem; }
.long { max-height: 40rem; overflow: auto; }
table { border-collapse: collapse; font-size: .8125rem; line-height: 1.35; }
.caption { color: #444; font-size: .875rem; margin: .6rem 0 .4rem; break-after: avoid; }
th, td { padding: .3rem .5rem; text-align: left; vertical-align: top; border-bottom: 1px solid #e2e2e2; }
th:first-child, td:first-child, tbody th { padding-left: 0; }
thead th { border-bottom: 1.5px solid #777; vertical-align: bottom; background: #fff; }
.long thead th { position: sticky; top: 0; }
tbody th { font-weight: 600; white-space: nowrap; }
.n { text-align: right; }
td.n, td.i { white-space: nowrap; font-variant-numeric: tabular-nums; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0; margin: 0;
  text-align: inherit; cursor: pointer; }
th button:hover { text-decoration: underline; }
th button:focus-visible { outline: 2px solid #36658f; outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\25B2"; font-size: .7em; }
th[aria-sort=descending] button::after { content: " \\25BC"; font-size: .7em; }
.pictures { columns: 34rem 2; column-gap: 2.5rem; margin-top: 1.2rem; }
figure { margin: 0 0 2.2rem; break-inside: avoid; }
figure h3 { font-size: 1rem; margin: 0 0 .4rem; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { max-width: 50rem; color: #444; font-size: .875rem; margin-top: .4rem; }
@media print {
  body { margin: 0; max-width: none; font-size: 10pt; }
  table { font-size: 7pt; }
  .table, .long { overflow: visible; max-height: none; }
  .long thead th { position: static; }
  figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""

SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const first = head.firstElementChild.dataset.first, now = head.getAttribute("aria-sort");
    const order = now === "none" ? first : now === "ascending" ? "descending" : "ascending";
    heads.forEach(other => other.setAttribute("aria-sort", other === head ? order : "none"));
    const key = row => row.cells[column].dataset.key, sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", {numeric: true}) : a - b;
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * compare(x, y);
    });
    body.append(...rows);
  }));
}
"""

LONG = 40
"""Tables of more rows scroll within the page."""


def html_page(report: Report) -> str:
    """The report as a page."""
    runs = itertools.groupby(report.blocks, lambda block: isinstance(block, Picture))
    content = "\n".join(_pictures(blocks) if drawn else "\n".join(map(_block, blocks)) for drawn, blocks in runs)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(report.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(report.title)}</h1>
{content}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Paragraph(text, strong):
            return f'<p class="verdict">{escape(text)}</p>' if strong else f"<p>{escape(text)}</p>"
        case Bullets(items):
            return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block)


def _table(table: Table) -> str:
    heads = "".join(_head(column) for column in table.columns)
    rows = "\n".join(
        "<tr>"
        + "".join(_cell(*pair, place) for place, pair in enumerate(zip(row, table.columns, strict=True)))
        + "</tr>"
        for row in table.rows
    )
    kind = "table long" if len(table.rows) > LONG else "table"
    said = escape(table.caption)
    return (
        f'<p class="caption">{said}</p>\n<div class="{kind}"><table aria-label="{said}">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _head(column: Column) -> str:
    look, first = (' class="n"', "descending") if column.numeric else ("", "ascending")
    button = f'<button type="button" data-first="{first}">{escape(column.title)}</button>'
    return f'<th scope="col" aria-sort="none"{look}>{button}</th>'


def _cell(cell: Cell, column: Column, place: int) -> str:
    key = "" if cell.key is None else f' data-key="{escape(str(cell.key))}"'
    if place == 0:
        return f'<th scope="row"{key}>{escape(cell.text)}</th>'
    look = "n" if column.numeric else "i" if isinstance(cell.key, float) else ""
    return f"<td{key}" + (f' class="{look}"' if look else "") + f">{escape(cell.text)}</td>"


def _pictures(pictures: Iterable[Block]) -> str:
    return '<div class="pictures">\n' + "\n".join(map(_block, pictures)) + "\n</div>"


def _picture(picture: Picture) -> str:
    width = round(picture.inches * PIXELS_AN_INCH)
    alt = escape(f"{picture.title}. {picture.caption}")
    return (
        f"<figure>\n<h3>{escape(picture.title)}</h3>\n"
        f'<img src="{picture.data_uri}" alt="{alt}" width="{width}">\n'
        f"<figcaption>{escape(picture.caption)}</figcaption>\n</figure>"
    )
