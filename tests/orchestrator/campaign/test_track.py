"""What MLflow shows is a view of a campaign's records: it can be thrown away, and moves with the folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from requests.utils import get_environ_proxies
from tracked import IDENTITY, append, campaign, check_whole, ended, opened, runs_at

from nrtune.analysis.sources.mlflow_client import calling, open_client
from nrtune.analysis.store.records import read_manifest
from nrtune.analysis.wording import shell_path
from nrtune.orchestrator.campaign.track import track
from nrtune.orchestrator.state.given import remember
from nrtune.orchestrator.state.locations import ARTIFACTS, DATABASE, chosen_tracking_uri, default_uri, tracking_uri
from nrtune.orchestrator.tracking.anchor import anchored
from nrtune.orchestrator.tracking.trackers.mlflow import MlflowTracker
from nrtune.trainables.core.errors import UserError

pytestmark = pytest.mark.end_to_end

NAMES = ("BASE-001", "BASE-002", "BASE-001-s1")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one: MLflow takes seconds to make its tables."""
    folder = tmp_path_factory.mktemp("empty")
    open_client(default_uri(folder)).search_experiments(max_results=1)
    return folder / DATABASE


@pytest.fixture
def folder(tmp_path: Path, database: Path) -> Path:
    """A finished campaign whose own database is empty."""
    made = campaign(tmp_path / "first", *NAMES)
    shutil.copy(database, made)
    return made


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What is said, which is nothing unless a test empties it."""
    sentences: list[str] = []
    yield sentences
    assert sentences == []


def test_a_whole_campaign_is_written_once_however_often_and_again_where_it_was_deleted(
    folder, tmp_path, database, said
):
    server = tmp_path / "server"
    server.mkdir()
    shutil.copy(database, server)
    uri = default_uri(server)
    client = open_client(uri)
    client.create_experiment("nrtune", artifact_location=(server / "store").as_uri())
    assert track(folder, uri, said.append) == f"MLflow has all 3 trials: {uri}"
    first = check_whole(client, *NAMES)
    assert first["BASE-001-s1"].data.tags["replicate_of"] == "BASE-001"
    track(folder, uri, said.append)
    again = check_whole(client, *NAMES)
    assert {name: run.info.run_id for name, run in again.items()} == {
        name: run.info.run_id for name, run in first.items()
    }

    client.delete_run(first["BASE-002"].info.run_id)
    client.delete_run(runs_at(client)[0][0].info.run_id)
    track(folder, uri, said.append)
    again = check_whole(client, *NAMES)
    assert again["BASE-001"].info.run_id == first["BASE-001"].info.run_id

    client.delete_experiment(client.get_experiment_by_name("nrtune").experiment_id)
    track(folder, uri, said.append)
    check_whole(client, *NAMES)
    assert not (folder / ARTIFACTS).exists()


def test_artifacts_that_cannot_be_stored_cost_nothing_else_and_come_later(folder, tmp_path, database, said):
    server, blocked = tmp_path / "server", tmp_path / "blocked"
    server.mkdir()
    shutil.copy(database, server)
    blocked.write_text("a file where the store's folder should be")
    client = open_client(default_uri(server))
    client.create_experiment("nrtune", artifact_location=blocked.as_uri())
    with pytest.raises(UserError, match="MLflow lacks the files of 3 trials"):
        track(folder, default_uri(server), said.append)
    (sentence,) = said
    assert sentence.startswith(f"MLflow can't store files ({blocked.as_uri()}: ")
    assert "metrics, tags and the ends of runs are written all the same" in sentence
    said.clear()
    for run in runs_at(client)[1].values():
        assert (run.info.status, run.data.metrics["test/spearman"]) == ("FINISHED", 0.5)
    blocked.unlink()
    track(folder, default_uri(server), said.append)
    check_whole(client, *NAMES)


def test_a_database_that_cannot_be_used_is_said_with_what_to_do(folder, said):
    path, kept = folder / DATABASE, (folder / DATABASE).read_bytes()
    path.write_bytes(b"not a database" + kept[14:])
    with pytest.raises(UserError, match="is damaged; move it away, and it is written anew"):
        track(folder, None, said.append)
    path.write_bytes(kept)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")
    with pytest.raises(
        UserError, match="was made by another version of MLflow; back it up, and run: mlflow db upgrade"
    ):
        track(folder, None, said.append)
    path.write_bytes(kept)
    with closing(sqlite3.connect(path)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="is locked by another program for too long"):
            track(folder, None, said.append)
    track(folder, None, said.append)
    check_whole(open_client(default_uri(folder)), *NAMES)


@pytest.mark.parametrize("name", ["a b?c#d%41'e\"f", "~x", "-x", "n" * 240])
def test_a_folder_that_moves_takes_its_view_along_and_a_copy_leaves_the_original_alone(folder, tmp_path, said, name):
    track(folder, None, said.append)
    before = {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}
    copy = Path(shutil.copytree(folder, tmp_path / name))
    ledger = opened(copy)
    append(ledger, ended("BASE-003"))
    ledger.close()
    track(copy, None, said.append)
    client = open_client(default_uri(copy), copy / DATABASE)
    trials = check_whole(client, *NAMES, "BASE-003")
    for run in trials.values():
        assert run.info.artifact_uri.startswith((copy / ARTIFACTS).as_uri() + "/")
    assert {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["first", name])
    folder.rename(tmp_path / "gone")
    track(tmp_path / "gone", None, said.append)
    check_whole(open_client(default_uri(tmp_path / "gone")), *NAMES)
    assert not folder.exists()


def test_a_copy_is_a_campaign_of_its_own_on_the_server_that_it_shares(folder, tmp_path, database, said):
    server = tmp_path / "server"
    server.mkdir()
    shutil.copy(database, server)
    uri = default_uri(server)
    client = open_client(uri)
    client.create_experiment("nrtune", artifact_location=(server / "store").as_uri())
    track(folder, uri, said.append)
    before = [client.get_run(run.info.run_id).to_dictionary() for run in check_whole(client, *NAMES).values()]
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    ledger = opened(copy)
    append(ledger, ended("BASE-003"))
    ledger.close()
    track(copy, uri, said.append)  # its own id is new, and said by who opened it first
    parent = MlflowTracker.open(uri, copy, read_manifest(copy), {}).parent_id
    experiment = client.get_experiment_by_name("nrtune").experiment_id
    runs = list(client.search_runs([experiment]))
    assert {run.info.run_name for run in runs if run.data.tags.get("mlflow.parentRunId") == parent} == {
        *NAMES,
        "BASE-003",
    }
    assert [client.get_run(run["info"]["run_id"]).to_dictionary() for run in before] == before
    track(folder, uri, said.append)
    track(copy, uri, said.append)
    assert len(client.search_runs([experiment])) == len(runs)


def test_a_server_on_this_machine_is_reached_without_a_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    for host in ("localhost", "127.0.0.1", "127.0.1.1", "[::1]"):
        with calling():
            assert get_environ_proxies(f"http://{host}:5000") == {}
            assert get_environ_proxies("http://mlflow.example.org") == {}
        assert get_environ_proxies(f"http://{host}:5000")["http"] == "http://me:secret@127.0.0.1:9"
    assert "no_proxy" not in os.environ


def test_a_proxy_that_is_away_is_named_without_its_password(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = campaign(tmp_path / "c", "BASE-001")
    with pytest.raises(
        UserError, match=r"the proxy http://me:\*\*\*@127.0.0.1:9 of HTTP_PROXY does not answer, or refuses"
    ) as raised:
        track(folder, "http://mlflow.invalid:5000", print)
    assert str(raised.value).endswith("to reach the server without it: NO_PROXY=mlflow.invalid")
    assert "secret" not in str(raised.value)


def test_paths_are_shown_as_a_shell_takes_them():
    assert [shell_path(name) for name in ("a/b", "-x", "~x", "a b")] == ["a/b", "./-x", "'~x'", "'a b'"]


@pytest.mark.parametrize("name", ['-it\'s a #1; $HOME `x` "~" %41', "~x"])
def test_a_command_that_is_printed_runs_as_printed(folder, database, tmp_path, monkeypatch, name):
    folder.rename(tmp_path / name)
    (tmp_path / name / DATABASE).unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised:
        anchored(Path(name))
    command = "nrtune" + str(raised.value).partition("; nrtune")[2].removesuffix(" writes all of the campaign into one")
    shutil.copy(database, tmp_path / name)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    check_whole(open_client(default_uri(tmp_path / name), tmp_path / name / DATABASE), *NAMES)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_where_a_campaign_is_tracked_may_change_and_stays_where_it_was_unless_said(tmp_path):
    folder = campaign(tmp_path / "c", "BASE-001")
    assert chosen_tracking_uri(None, folder) is None
    server = "http://127.0.0.1:9"
    opened(folder, IDENTITY | {"tracking_uri": chosen_tracking_uri(server, folder)}).close()
    remember(folder, {"tracking_uri": server})
    assert tracking_uri(folder) == chosen_tracking_uri(None, folder) == server
    assert read_manifest(folder)["settings"]["tracking_uri"] == server
    # Its own database by its path is its own, wherever a copy of the folder stands.
    own = chosen_tracking_uri(f"sqlite:///{folder / DATABASE}", folder)
    opened(folder, IDENTITY | {"tracking_uri": own}).close()
    assert (own, tracking_uri(folder)) == (None, default_uri(folder))
    assert "tracking_uri" not in read_manifest(folder)["settings"]
