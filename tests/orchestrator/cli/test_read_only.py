"""Folders that one may only read, and stores that are not there: a reading command writes nothing there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nrtune.analysis.sources.open import open_campaign
from nrtune.orchestrator.search.optuna_storage import JOURNAL, read_storage
from nrtune.orchestrator.state.ledger import hold, is_running
from nrtune.orchestrator.state.locations import DATABASE, LOCK, RAY_FOLDER
from nrtune.orchestrator.tracking.anchor import anchored
from nrtune.trainables.core.errors import UserError
from tests.helpers.accounts import OTHER, as_account
from tests.helpers.many_trials import write_many

SEVERAL = """
import json, sys
from nrtune.orchestrator.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        print(json.dumps([arguments[0], end.code]), file=sys.stderr)
"""
"""Commands one after the other in one process, which imports what they need once."""


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below one, with its size and when it was changed."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}


def run_all(prefix: list[str], commands: list[list[str]], folder: Path) -> tuple[list[list], str]:
    """Exit codes by command, and what was said on standard error."""
    ended = subprocess.run(
        [*prefix, sys.executable, "-c", SEVERAL, json.dumps(commands)],
        cwd=folder, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stderr.splitlines()
    return [json.loads(line) for line in lines if line.startswith("[")], "\n".join(
        line for line in lines if not line.startswith("[")
    )


def test_reading_commands_write_nothing_where_they_may_only_read(tmp_path):
    folder, home = write_many(tmp_path / "c", 20), tmp_path / "home"
    (folder / LOCK).touch()
    os.chmod(folder / LOCK, 0o444)
    (folder / RAY_FOLDER).mkdir()
    prefix, before = as_account(OTHER, home), state_of(folder)
    reading = [["status"], ["trials"], ["best"], ["best", "--use-case", "overall"], ["best", "--pareto"],
               ["ensemble", "--out", str(home / "e")]]  # fmt: skip
    reading = [[command, str(folder), *more] for command, *more in reading]
    codes, said = run_all(prefix, reading, home)
    assert [code for _, code in codes] == [0] * len(reading), said
    assert state_of(folder) == before
    assert list((home / ".cache" / "nrtune" / "comparisons").iterdir())
    writing = [["report", str(folder)], ["ensemble", str(folder), "--out", str(folder / "e")]]
    codes, said = run_all(prefix, writing, home)
    assert [code for _, code in codes] == [2, 2], said
    sentences = [line for line in said.splitlines() if line.startswith("nrtune: ")]
    assert len(sentences) == len(writing)
    assert "give another --out" in sentences[0]
    codes, said = run_all(prefix, [["gc", str(folder), "--yes"]], home)
    assert codes == [["gc", 2]], said
    assert state_of(folder) == before


def test_a_lock_is_seen_by_who_may_only_read(tmp_path):
    folder, home = write_many(tmp_path / "c", 9), tmp_path / "home"
    prefix = as_account(OTHER, home)
    with hold(folder):
        code = "import sys; from nrtune.orchestrator.state.ledger import Path, is_running; print(is_running(Path(sys.argv[1])))"
        command = [*prefix, sys.executable, "-c", code, str(folder)]
        assert subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout == "True\n"
        assert is_running(folder)
    assert not is_running(folder)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("sqlite:///{}/typo.db", "there is no such database"),
        ("sqlite:///{}/no/such/folder/mlflow.db", "there is no such database"),
        ("sqlite+pysqlite:///{}/typo.db", "there is no such database"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///{}/empty.db", "none of MLflow's"),
        ("sqlite:///{}/text.db", "is no database that can be read"),
        ("file://{}/nowhere", "there is no such folder"),
        ("file://{}/sub", "holds no runs of MLflow's"),
        ("{}/typo", "no such campaign folder"),
        ("{}/typo.parquet", "no such file"),
        ("{}/typo.csv", "no such file"),
    ],
)
def test_what_is_not_there_is_not_made(tmp_path, source, sentence):
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("no database at all, but a text that is long enough to be one\n" * 99)
    (tmp_path / "sub").mkdir()
    before = state_of(tmp_path)
    with pytest.raises(UserError, match=sentence) as raised:
        open_campaign(source.format(tmp_path))
    assert "\n" not in str(raised.value)
    assert state_of(tmp_path) == before


def test_a_campaign_without_its_database_or_journal_gets_none_by_looking(tmp_path):
    folder = write_many(tmp_path / "c", 9)
    before = state_of(folder)
    with pytest.raises(UserError, match=f"{DATABASE}: there is no such database; nrtune track .* writes all"):
        anchored(folder)
    with pytest.raises(UserError, match=f"has no {JOURNAL}"):
        read_storage(folder, None)
    with pytest.raises(UserError, match="there is no such database"):
        read_storage(folder, f"sqlite:///{folder}/optuna.db")
    assert state_of(folder) == before
