"""A folder whose names hold what terminals and tables obey: every command shows it as text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracked import ended, opened

pytestmark = pytest.mark.end_to_end

HOSTILE = "\x1b[2J\x9b31m\u202e[bold red]x"
SHOWN = r"\x1b[2J\x9b31m\u202e[bold red]x"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign with such names, families and failures."""
    folder = tmp_path_factory.mktemp("outside") / "campaign"
    ledger = opened(folder)
    ledger.append(ended("BASE-001"))
    ledger.append(ended(HOSTILE, family=HOSTILE, metrics={"test/spearman": 0.9, "val/spearman": 0.9}))
    ledger.append(ended("b", status="failed", family=HOSTILE, failure_class=HOSTILE, failure=HOSTILE, metrics={}))
    ledger.write_status("finished", "search", [])
    ledger.close()
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["trials"],
        ["trials", "--format", "csv"],
        ["best"],
        ["best", "--pareto", "test/spearman:max"],
        ["best", "--as-settings", "--trial", f"no{HOSTILE}"],
    ],
    ids=" ".join,
)
def test_names_and_failures_are_shown_as_text(folder: Path, words: list[str]):
    done = subprocess.run(
        [sys.executable, "-m", "nrtune", words[0], str(folder), *words[1:]],
        capture_output=True, encoding="utf-8", check=False, timeout=120, env={**os.environ, "COLUMNS": "300"},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert SHOWN[:14] in said  # a table may cut a long name
    assert {sign for sign in said if not sign.isprintable()} <= {"\n"}
    assert "Traceback" not in said
