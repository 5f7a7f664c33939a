"""One import name: whoever installs nrtune gets `nrtune` and nothing else, and no module under two names."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import nrtune
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.losses import LOSSES

FOLDERS = ("orchestrator", "analysis", "search_spaces", "trainables")

LOOK = """
import importlib.util, json, sys
names = json.loads(sys.argv[1])
import nrtune
import nrtune.orchestrator.cli.main, nrtune.orchestrator.execution.tuner, nrtune.trainables.training.loop
print(json.dumps([
    [name for name in names if importlib.util.find_spec(name)],
    [name for name in sys.modules if name.partition(".")[0] in names],
    [file for file, count in __import__("collections").Counter(
        __import__("os").path.realpath(m.__file__) for m in [*sys.modules.values()] if getattr(m, "__file__", None)
        and "nrtune" in m.__name__).items() if count > 1],
]))
"""


@pytest.mark.end_to_end
def test_no_module_is_there_under_two_names(tmp_path: Path):
    command = [sys.executable, "-c", LOOK, json.dumps([*FOLDERS, "tests", "docs", "benchmarks"])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], [], []]


def test_the_folders_are_the_packages():
    top = Path(__file__).parents[1]
    for name in FOLDERS:
        assert (Path(nrtune.__file__).parent / name).resolve() == top / name


def test_nothing_else_is_installed():
    files = importlib.metadata.files("nrtune")
    assert files
    roots = {file.parts[0] for file in files} - {".."}  # the program
    assert {root for root in roots if not root.endswith((".dist-info", ".pth"))} <= {"nrtune"}


def test_what_is_public_is_there_and_named():
    for name in nrtune.__all__:
        assert getattr(nrtune, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nrtune.nothing  # noqa: B018


def test_a_plugin_that_imports_by_an_older_name_is_told_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / "older.py").write_text("from trainables.losses import Loss\n")
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path))
    with pytest.raises(nrtune.UserError, match=r"older\.py: imports trainables, whose name is nrtune\.trainables now"):
        LOSSES.get("older")
