"""A search's view in MLflow while it is written: what is deleted, removed or replaced there costs itself alone."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from tracked import DELETIONS, TrackedSearch, campaign, check_whole

from nrtune.analysis.sources.mlflow_client import LOGGERS, open_client
from nrtune.orchestrator.campaign.track import track
from nrtune.orchestrator.state.locations import DATABASE, default_uri
from nrtune.trainables.core.errors import UserError

pytestmark = pytest.mark.end_to_end

PASSWORD = "hunter2secret"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one: MLflow takes seconds to make its tables."""
    folder = tmp_path_factory.mktemp("empty")
    open_client(default_uri(folder)).search_experiments(max_results=1)
    return folder / DATABASE


@pytest.mark.parametrize("delete", DELETIONS)
def test_what_is_deleted_while_it_is_written_to_is_made_anew(
    tmp_path: Path, database: Path, delete: Callable[[mlflow.MlflowClient], None]
):
    folder = tmp_path / "c"
    campaign(folder)
    shutil.copy(database, folder)
    search, client = TrackedSearch(folder), open_client(default_uri(folder))
    search.start("BASE-001")
    delete(client)
    search.end("BASE-001")
    search.start("BASE-002")
    search.end("BASE-002")
    search.close()
    assert search.said == []
    check_whole(client, "BASE-001", "BASE-002")


def test_a_database_that_is_removed_as_it_is_opened_is_written_anew(tmp_path: Path, database: Path, capfd):
    """SQLite leaves an empty file then, in which there is no table."""
    folder = campaign(tmp_path / "c")
    shutil.copy(database, folder)
    search = TrackedSearch(folder)
    search.start("BASE-001")
    search.end("BASE-001")
    (folder / DATABASE).unlink()
    (folder / DATABASE).touch()
    search.start("BASE-002")
    search.end("BASE-002")
    search.close()
    assert search.said == []
    assert "Traceback" not in capfd.readouterr().err
    check_whole(open_client(default_uri(folder), folder / DATABASE), "BASE-001", "BASE-002")


def test_a_database_that_is_removed_is_written_anew(tmp_path: Path, database: Path):
    folder = campaign(tmp_path / "c")
    shutil.copy(database, folder)
    search = TrackedSearch(folder)
    search.start("BASE-001")
    search.end("BASE-001")
    (folder / DATABASE).unlink()
    shutil.copy(database, folder)  # as if its tables had been made again, which takes seconds
    search.start("BASE-002")
    search.end("BASE-002")
    search.close()
    assert search.said == []
    check_whole(open_client(default_uri(folder), folder / DATABASE), "BASE-001", "BASE-002")


@pytest.mark.slow
def test_a_database_that_is_locked_for_a_while_is_written_once_it_is_free(tmp_path: Path, database: Path):
    folder = campaign(tmp_path / "c")
    shutil.copy(database, folder)
    search = TrackedSearch(folder)
    search.start("BASE-001")
    with closing(sqlite3.connect(folder / DATABASE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        search.end("BASE-001")
    search.start("BASE-002")
    search.end("BASE-002")
    search.close()
    uri = default_uri(folder)
    assert search.said == [
        f"MLflow can't be written ({uri}: is locked by another program for too long); the search goes on",
        "MLflow can be written again",
    ]
    check_whole(open_client(uri, folder / DATABASE), "BASE-001", "BASE-002")


@pytest.mark.parametrize("fault", ["damaged", "of another version", "garbage in its middle", "without its tables"])
def test_a_database_that_is_damaged_is_said_and_the_search_goes_on(tmp_path: Path, database: Path, fault: str, capfd):
    folder = campaign(tmp_path / "c")
    said = f"{DATABASE} is damaged; move it away"
    if fault == "damaged":
        (folder / DATABASE).write_text("not a database" * 100)
    elif fault == "of another version":
        shutil.copy(database, folder)
        with closing(sqlite3.connect(folder / DATABASE)) as other, other:
            other.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")
        said = "was made by another version of MLflow"
    elif fault == "without its tables":
        shutil.copy(database, folder)
        with closing(sqlite3.connect(folder / DATABASE)) as other, other:
            other.execute("DROP TABLE metrics")
            other.execute("DROP TABLE experiments")
    else:
        whole = database.read_bytes()
        (folder / DATABASE).write_bytes(whole[:4096] + b"\xff" * (len(whole) - 8192) + whole[-4096:])
    search = TrackedSearch(folder)
    search.start("BASE-001")
    search.end("BASE-001")
    search.close()
    first, last = search.said
    assert first.startswith(f"MLflow can't be written ({default_uri(folder)}: ")
    assert said in first
    assert "Traceback" not in capfd.readouterr().err
    assert last.startswith("MLflow lacks 1 of 1 trial (")
    assert last.endswith(f"write what is missing with: nrtune track {folder}")
    shutil.copy(database, folder)
    track(folder, None, search.said.append)
    check_whole(open_client(default_uri(folder), folder / DATABASE), "BASE-001")


def test_a_search_leaves_mlflow_as_the_user_had_it(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch):
    folder = campaign(tmp_path / "c")
    shutil.copy(database, folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_uri(tmp_path))
    shutil.copy(database, tmp_path)

    def state() -> tuple[object, ...]:
        run = mlflow.active_run()
        levels = [logging.getLogger(name).level for name in LOGGERS]
        return dict(os.environ), mlflow.get_tracking_uri(), levels, run and run.info.run_id

    for name in ("MLFLOW_EXPERIMENT_ID", "_MLFLOW_TELEMETRY_SESSION_ID"):
        monkeypatch.setenv(name, "")  # MLflow sets them; they go with this test
    monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", None)
    own = mlflow.set_experiment("own")
    with mlflow.start_run():
        before = state()
        search = TrackedSearch(folder)
        search.start("BASE-001")
        search.end("BASE-001")
        search.close()
        assert state() == before
    with mlflow.start_run() as run:
        assert run.info.experiment_id == own.experiment_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert mlflow.get_tracking_uri() == "http://127.0.0.1:9"


def test_no_password_of_a_server_is_said_or_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = tmp_path / "c"
    search = TrackedSearch(folder, f"http://ada:{PASSWORD}@127.0.0.1:9")
    search.start("BASE-001")
    search.end("BASE-001")
    search.close()
    with pytest.raises(UserError) as raised:
        track(folder, f"http://ada:{PASSWORD}@127.0.0.1:9", search.said.append)
    assert [one for one in (*search.said, str(raised.value)) if PASSWORD in one] == []
    assert search.said[0].startswith("MLflow can't be written (http://ada:***@127.0.0.1:9: no MLflow server answers")
    assert [path for path in folder.rglob("*") if path.is_file() and PASSWORD in path.read_text()] == []
