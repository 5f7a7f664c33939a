"""A campaign's folder that somebody else made can lead no command out of it: each attack here is carried out."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from in_process import run
from spoilt_folders import in_json
from tracked import campaign, ended, opened

from nrtune.analysis.store.records import JOURNAL_LOCK, MANIFEST, RECORDS, STATUS, TRIALS, read_manifest
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.locations import DATABASE, LOCK
from nrtune.orchestrator.state.settings import Settings
from nrtune.orchestrator.tracking.anchor import anchored
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.simulate import HDF5_NAME

COMMANDS = (("status",), ("trials",), ("best",), ("report",), ("gc", "--yes"), ("retry",), ("track",),
            ("register", "--name", "m"), ("predict", "--fasta-sequences", "x.fa"), ("replicate",),
            ("ui", "--optuna"))  # fmt: skip
"""All that reads or writes a campaign's folder."""


def inventory(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder" for path in folder.rglob("*")
    }


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What a user has beside the campaign, under the names of what a campaign deletes."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("last.pt", "best.pt", ".best.pt.77.partial", "letter.txt", "history.json", "predictions_test.parquet"):
        (folder / name).write_text(f"the user's own {name}, without an end of its last line")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return campaign(tmp_path / "foreign", "BASE-001", "BASE-002")


def check_refused(said: str, monkeypatch, capsys, folder: Path, outside: Path) -> None:
    """See that every command ends with one sentence, and leaves what lies outside as it was."""
    before = inventory(outside)
    monkeypatch.chdir(outside.parent)
    (outside.parent / "x.fa").write_text(">a\nACGT\n")
    for name, *options in COMMANDS:
        code, _, err = run(monkeypatch, capsys, name, folder, *options)
        assert code == 2, (name, err)
        assert said in err, (name, err)
        assert inventory(outside) == before, name
        (outside.parent / "x.nrtune.csv").unlink(missing_ok=True)


@pytest.mark.parametrize("name", [MANIFEST, RECORDS, STATUS, LOCK, DATABASE, "optuna.journal", "note.txt"])
def test_a_link_in_place_of_a_file(name, folder, outside, monkeypatch, capsys):
    victim = outside / "victim"
    if (folder / name).exists():  # what it leads to would do
        shutil.move(folder / name, victim)
    else:
        victim.write_text("the user's own")
    (folder / name).symlink_to(victim)
    check_refused(f"{folder / name}: is a symbolic link to {victim}", monkeypatch, capsys, folder, outside)


@pytest.mark.parametrize("name", [TRIALS, "report", "analysis", "references", "artifacts", "ray"])
def test_a_link_in_place_of_a_folder(name, folder, outside, monkeypatch, capsys):
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    (folder / name).symlink_to(os.path.relpath(outside, folder))
    check_refused(f"{folder / name}: is a symbolic link to {outside}", monkeypatch, capsys, folder, outside)


@pytest.mark.parametrize("name", [MANIFEST, RECORDS, STATUS, LOCK, "optuna.journal", "packing.json"])
def test_a_pipe_keeps_nobody_waiting(name, folder, outside, monkeypatch, capsys):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    check_refused(f"{folder / name}: is a pipe", monkeypatch, capsys, folder, outside)


def test_no_checkpoint_is_deleted_through_a_trial_s_folder(folder, outside, monkeypatch, capsys):
    before = inventory(outside)
    for trial in list((folder / TRIALS).iterdir()):
        shutil.rmtree(trial)
        trial.symlink_to(outside)
    predict = ("predict", "--trial", "BASE-001", "--fasta-sequences", outside / "letter.txt")
    for command in (("gc", "--yes"), ("track",), predict):
        code, _, err = run(monkeypatch, capsys, command[0], folder, *command[1:])
        assert code == 2, (command, err)
        assert f"is a symbolic link to {outside}, outside of" in err
    assert inventory(outside) == before


@pytest.mark.parametrize("fingerprint", ["../../outside", "/{outside}", "..", ""])
@pytest.mark.parametrize("status", ["finished", "failed"])
def test_a_record_names_no_folder_but_its_own(fingerprint, status, folder, outside, monkeypatch, capsys):
    before = inventory(outside)
    named = fingerprint.replace("/{outside}", str(outside))
    line = ended("EVIL", status=status).to_line().replace('"fingerprint":"EVIL"', f'"fingerprint":"{named}"')
    with (folder / RECORDS).open("a") as file:
        file.write(line + "\n")
    predict = ("predict", "--trial", "EVIL", "--fasta-sequences", outside / "letter.txt")
    # Who adds to the records asks first what becomes of a damaged line; who reads them goes on with the others.
    for name, *options in (("retry",),) if status == "failed" else (("track",), predict):
        code, _, err = run(monkeypatch, capsys, name, folder, *options)
        assert code == (0 if name == "track" else 2), err
        assert "line 3 is damaged (fingerprint: is" in err
    assert inventory(outside) == before


@pytest.mark.parametrize("planted", [RECORDS, "trials/0123", "ray.log", "stopping.jsonl", LOCK, "trials/0123/last.pt"])
def test_a_search_that_goes_on_writes_through_no_link(
    planted, simulated_folder, tmp_path, outside, monkeypatch, capsys
):
    """Into the folder of a campaign that has begun, for which somebody knows the very command."""
    settings = Settings(data=simulated_folder / HDF5_NAME, out=tmp_path / "out", trials=1, epochs=1, confirm="none")
    plan = prepare(settings)
    open_ledger(plan.folder, "c", plan.identity(), plan.about(), must_exist=False).close()
    (tmp_path / "settings.yaml").write_text(settings.to_yaml())
    before = inventory(outside)
    link = plan.folder / planted
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(outside if planted == "trials/0123" else outside / "letter.txt")
    for arguments in ((tmp_path / "settings.yaml",), ("--resume", "--out", plan.folder)):
        code, _, err = run(monkeypatch, capsys, "search", *arguments)
        assert code == 2, err
        assert f"{link}: is a symbolic link to" in err
    assert inventory(outside) == before


def test_a_new_campaign_takes_no_lock_that_leads_elsewhere(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / LOCK).symlink_to(tmp_path / "made")
    with pytest.raises(UserError, match="is a symbolic link to"):
        opened(tmp_path / "new")
    assert not (tmp_path / "made").exists()


def test_a_report_is_written_through_no_link_in_its_folder(folder, outside, monkeypatch, capsys):
    before = inventory(outside)
    (folder / "report").mkdir()
    (folder / "report" / "figures").symlink_to(outside)
    code, _, err = run(monkeypatch, capsys, "report", folder)
    assert (code, inventory(outside)) == (2, before)
    assert f"{folder / 'report' / 'figures'}: is a symbolic link to {outside}" in err


def test_what_leads_nowhere_else_does_not_matter(folder, tmp_path, monkeypatch, capsys):
    """The folder reached by a link, a link within it, and what a killed Optuna leaves in a folder that is moved then."""
    (folder / "best").symlink_to(f"{TRIALS}/BASE-001")
    (folder / JOURNAL_LOCK).symlink_to(tmp_path / "before" / "optuna.journal")
    (tmp_path / "scratch").symlink_to(folder)
    code, out, err = run(monkeypatch, capsys, "status", tmp_path / "scratch")
    assert code == 0, err
    assert "baseline: 1 finished" in out
    opened(tmp_path / "scratch").close()


def test_a_database_names_no_files_elsewhere(folder, outside, monkeypatch, capsys):
    """MLflow would read, write and delete what is there, and send its login to a server."""
    assert run(monkeypatch, capsys, "track", folder)[0] == 0
    whole, before = (folder / DATABASE).read_bytes(), inventory(outside)
    for table, place in (
        ("runs.artifact_uri", f"file://{outside}/x"),
        ("runs.artifact_uri", f"file://{folder}/artifacts/../../outside"),
        ("runs.artifact_uri", f"file://{folder}/artifacts/%2e%2e/%2e%2e/outside"),
        ("runs.artifact_uri", "http://127.0.0.1:9/x"),
        ("experiments.artifact_location", "http://127.0.0.1:9/x"),
        ("experiments.artifact_location", str(outside)),
    ):
        (folder / DATABASE).write_bytes(whole)
        name, _, column = table.partition(".")
        with closing(sqlite3.connect(folder / DATABASE)) as database, database:
            database.execute(f"UPDATE {name} SET {column} = ?", (place,))
        with pytest.raises(UserError, match="names files at"):
            anchored(folder)
    code, _, err = run(monkeypatch, capsys, "track", folder)
    assert (code, inventory(outside)) == (2, before)
    assert "names files at" in err


ELSEWHERE = "UPDATE runs SET artifact_uri = 'file://{outside}/x'"
"""What a trigger does once the places of artifacts have been looked at, as MLflow writes."""


def test_a_database_changes_no_place_behind_the_look_at_it(folder, outside, monkeypatch, capsys):
    assert run(monkeypatch, capsys, "track", folder)[0] == 0
    number = read_manifest(folder)["id"]
    in_json(MANIFEST, "copied_from", value=[number])(folder)  # what tells of that campaign is changed first
    whole, before = (folder / DATABASE).read_bytes(), inventory(outside)
    for code, said in (
        ("CREATE TRIGGER t AFTER UPDATE ON tags BEGIN {elsewhere}; END", "has code of its own (t)"),
        ('CREATE TRIGGER t AFTER INSERT ON "RUNS" BEGIN SELECT 1; END', "has code of its own (t)"),
        ("ALTER TABLE runs RENAME TO o; CREATE VIEW runs AS SELECT * FROM o", "has code of its own (runs)"),
        ("ALTER TABLE runs ADD COLUMN more TEXT AS (status || 'x')", "has code of its own (runs.more)"),
        # An error of the database ends no look at it.
        ("DROP TABLE experiment_tags; {elsewhere}", "can't be looked through (no such table: experiment_tags)"),
        ("{elsewhere}; CREATE TRIGGER t BEFORE UPDATE ON tags BEGIN SELECT RAISE(ABORT, 'no'); END",
         "can't be looked through (no)"),
    ):  # fmt: skip
        (folder / DATABASE).write_bytes(whole)
        with closing(sqlite3.connect(folder / DATABASE)) as database:
            database.executescript(code.format(elsewhere=ELSEWHERE.format(outside=outside)))
        with pytest.raises(UserError, match=re.escape(said)):
            anchored(folder, to_write=True)
    code, _, err = run(monkeypatch, capsys, "track", folder)
    assert (code, inventory(outside)) == (2, before), err
