"""A search's view in MLflow while it is written: what is deleted, removed or replaced there costs itself alone."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from command_line import wait_until
from tracked import append, campaign, check_whole, ended, opened, runs_at

from nrtune.analysis.sources.mlflow_client import LOGGERS, open_client
from nrtune.orchestrator.campaign.shown import parameters_of, tags_of
from nrtune.orchestrator.campaign.track import track
from nrtune.orchestrator.lifecycle.tracker_sink import TrackerSink
from nrtune.orchestrator.lifecycle.trial import LiveTrial
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.locations import DATABASE, default_uri
from nrtune.orchestrator.tracking.trackers.mlflow import MlflowTracker

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one: MLflow takes seconds to make its tables."""
    folder = tmp_path_factory.mktemp("empty")
    open_client(default_uri(folder)).search_experiments(max_results=1)
    return folder / DATABASE


class Search:
    """A search without its trainings: its ledger, and the sink that its trials are told to."""

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        self.ledger: Ledger = opened(folder)
        self.said: list[str] = []
        manifest = self.ledger.manifest
        self.sink = TrackerSink(
            self.ledger,
            lambda: MlflowTracker.open(uri, folder, manifest, parameters_of(manifest, ["baseline"])),
            lambda proposal: tags_of(manifest, proposal),
            lambda record: record.metrics["test/spearman"],
            say=self.said.append,
            show=lambda text: None,
            name="MLflow",
            again=f"nrtune track {folder}",
        )
        self.sink.open()

    def start(self, name: str) -> None:
        self.sink.started(LiveTrial(ended(name).proposal))
        self.settle()

    def end(self, name: str) -> None:
        append(self.ledger, ended(name))
        self.sink.ended(self.ledger.records[name], ())
        self.settle()

    def settle(self) -> None:
        """Wait until all that was put has been tried."""
        done = threading.Event()
        self.sink._publisher.put(done.set, "a mark")
        wait_until(lambda: done.is_set() or self.sink._publisher.away, "it was tried")

    def close(self) -> None:
        self.sink.close("finished")
        self.ledger.close()


def delete_child(client: mlflow.MlflowClient) -> None:
    client.delete_run(runs_at(client)[1]["BASE-001"].info.run_id)


def delete_parent(client: mlflow.MlflowClient) -> None:
    client.delete_run(runs_at(client)[0][0].info.run_id)


def delete_experiment(client: mlflow.MlflowClient) -> None:
    client.delete_experiment(client.get_experiment_by_name("nrtune").experiment_id)


@pytest.mark.parametrize("delete", [delete_child, delete_parent, delete_experiment])
def test_what_is_deleted_while_it_is_written_to_is_made_anew(
    tmp_path: Path, database: Path, delete: Callable[[mlflow.MlflowClient], None]
):
    folder = tmp_path / "c"
    campaign(folder)
    shutil.copy(database, folder)
    search, client = Search(folder), open_client(default_uri(folder))
    search.start("BASE-001")
    delete(client)
    search.end("BASE-001")
    search.start("BASE-002")
    search.end("BASE-002")
    search.close()
    assert search.said == []
    check_whole(client, "BASE-001", "BASE-002")


def test_a_database_that_is_removed_is_written_anew(tmp_path: Path, database: Path):
    folder = campaign(tmp_path / "c")
    shutil.copy(database, folder)
    search = Search(folder)
    search.start("BASE-001")
    search.end("BASE-001")
    (folder / DATABASE).unlink()
    shutil.copy(database, folder)  # as if its tables had been made again, which takes seconds
    search.start("BASE-002")
    search.end("BASE-002")
    search.close()
    assert search.said == []
    check_whole(open_client(default_uri(folder), folder / DATABASE), "BASE-001", "BASE-002")


def test_a_database_that_is_damaged_is_said_and_the_search_goes_on(tmp_path: Path, database: Path):
    folder = campaign(tmp_path / "c")
    (folder / DATABASE).write_text("not a database" * 100)
    search = Search(folder)
    search.start("BASE-001")
    search.end("BASE-001")
    search.close()
    first, last = search.said
    assert first.startswith(f"MLflow can't be written ({default_uri(folder)}: {DATABASE} is damaged; move it away")
    assert last.startswith("MLflow lacks 1 of 1 trial (")
    assert last.endswith(f"write what is missing with: nrtune track {folder}")
    shutil.copy(database, folder)
    track(folder, None, search.said.append)
    check_whole(open_client(default_uri(folder), folder / DATABASE), "BASE-001")


def test_a_search_leaves_mlflow_as_the_user_had_it(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch):
    folder = campaign(tmp_path / "c")
    shutil.copy(database, folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_uri(tmp_path))
    before = dict(os.environ), mlflow.get_tracking_uri(), [logging.getLogger(name).level for name in LOGGERS]
    search = Search(folder)
    search.start("BASE-001")
    search.end("BASE-001")
    search.close()
    assert (dict(os.environ), mlflow.get_tracking_uri(), [logging.getLogger(name).level for name in LOGGERS]) == before
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert mlflow.get_tracking_uri() == "http://127.0.0.1:9"
