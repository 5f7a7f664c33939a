"""Whatever Python files lie in the folder where nrtune is called, they are the user's own and nobody imports them."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Command

from nrtune.analysis.store.records import read_records
from nrtune.orchestrator.state.settings import Settings

THEIRS = ("analysis.py", "orchestrator.py", "search_spaces.py", "trainables/__init__.py", "tests/__init__.py",
          "nrtune/__init__.py", "types.py", "random.py", "statistics.py", "ray.py", "torch/__init__.py",
          "pandas.py", "optuna.py", "mlflow.py")  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder full of files whose names somebody else has as well; whoever imports one ends."""
    for name in THEIRS:
        path = tmp_path / "working" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise SystemExit('{name} is the user\\'s own')\n")
    return tmp_path / "working"


@pytest.mark.slow
def test_a_search_with_a_ray_of_its_own_and_its_answers(settings: Settings, folder: Path, tmp_path: Path):
    path = tmp_path / "settings.yaml"
    path.write_text(settings.model_copy(update={"out": "out", "epochs": 1}).to_yaml())
    Command("search", path, folder=folder).finish()
    (record,) = read_records(folder / "out")
    assert (record.status, record.attempts) == ("finished", 1)
    for command in ("status", "best", "trials"):
        Command(command, "out", folder=folder).finish()
    Command("data", "check", settings.data, folder=folder).finish()
