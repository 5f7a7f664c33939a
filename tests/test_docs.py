"""Pages that are written from the code are as the code is."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def test_the_methods_page_is_up_to_date():
    script = Path(__file__).parents[1] / "docs" / "methods.py"
    spec = importlib.util.spec_from_file_location("methods_page", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run `make docs`"
