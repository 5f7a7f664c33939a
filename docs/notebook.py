"""Write docs/tutorial.ipynb from docs/tutorial.md: `make docs`. A test compares them, a slow one executes it.

Shell blocks become cells that stop at the first command that fails, Python blocks cells as they are. What needs
downloads, a cluster or files of one's own (LEFT_OUT) stays text.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode

TUTORIAL = Path(__file__).with_name("tutorial.md")
NOTEBOOK = TUTORIAL.with_suffix(".ipynb")
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", flags=re.M | re.S)
LEFT_OUT = ("data fetch", "--preset study", "make dist", "--vcf")
"""Words of blocks that aren't run: real data, a cluster, a genome."""


def notebook() -> NotebookNode:
    """The tutorial as cells."""
    text, cells, end = TUTORIAL.read_text(), [], 0
    for block in BLOCK.finditer(text):
        if any(words in block[2] for words in LEFT_OUT):
            continue
        cells += [nbformat.v4.new_markdown_cell(text[end : block.start()].strip()),
                  nbformat.v4.new_code_cell(("%%bash -e\n" if block[1] == "sh" else "") + block[2].strip())]  # fmt: skip
        end = block.end()
    cells.append(nbformat.v4.new_markdown_cell(text[end:].strip()))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def page() -> str:
    """The notebook's file."""
    return nbformat.writes(notebook()) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(page())
