"""SECURITY.md: each line of its table names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
ROWS = [line for line in (TOP / "SECURITY.md").read_text().splitlines() if line.startswith("|")][2:]


def test_the_page_has_a_table():
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS)
def test_every_line_names_a_test(row: str):
    (file, name) = re.search(r"`(tests/\S+\.py)::(test_\w+)`", row).groups()
    assert re.search(rf"^def {name}\(", (TOP / file).read_text(), re.MULTILINE), f"{file} has no {name}"
