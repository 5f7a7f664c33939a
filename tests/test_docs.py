"""Pages that are written from the code are as the code is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_methods_page_is_up_to_date():
    module = script("methods")
    assert module.PAGE.read_text() == module.page(), "run `make docs`"


@pytest.mark.parametrize("name", ["cli.md", "api.md"])
def test_the_reference_is_up_to_date(name: str):
    module = script("reference")
    path = module.FOLDER / name
    assert path.read_text() == module.pages()[path], "run `make docs`"


def test_every_line_of_help_fits_80_columns():
    assert [line for line in (DOCS / "reference" / "cli.md").read_text().splitlines()[10:] if len(line) > 80] == []
