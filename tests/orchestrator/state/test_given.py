"""An address is used where this account has given it for the campaign at its place, and not because a folder says so."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from in_process import run
from tracked import IDENTITY, append, ended, opened

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import MANIFEST
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.state.given import check_given, is_given, remember
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.locations import DATABASE, default_uri
from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.simulate import HDF5_NAME

METRICS = dict.fromkeys(
    ("cagi5/release/spearman/all/mean", "cagi5/challenge/spearman/all/mean", "test/spearman", "val/spearman"), 0.5
)
LOGIN = {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "hunter2secret"}
REFUSED = "which this account never gave for a campaign at this place; give"


class Listener(NamedTuple):
    """A server that answers nobody, and the headers of each request that it got."""

    uri: str
    heard: list[dict[str, str]]


@contextmanager
def listener() -> Iterator[Listener]:
    heard: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def hear(self) -> None:
            heard.append(dict(self.headers))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = hear

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Listener(f"http://127.0.0.1:{server.server_port}", heard)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    """An account that has given nothing yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("RAY_ADDRESS", "NRTUNE_TRACKING_URI", "NRTUNE_OPTUNA_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "state"


def foreign(folder: Path, **addresses: str) -> Path:
    """A finished campaign that somebody else made, with these addresses in its manifest."""
    ledger = opened(folder, IDENTITY)
    for name in ("BASE-001", "BASE-002"):
        append(ledger, ended(name, metrics=METRICS))
        (ledger.trial_folder(name) / "predictions_test.parquet").unlink()
    ledger.write_status("finished", "search", [])
    ledger.close()
    write_addresses(folder, **addresses)
    return folder


def write_addresses(folder: Path, **addresses: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["settings"] |= addresses
    manifest["identity"] |= {name: value for name, value in addresses.items() if name != "address"}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_no_login_goes_to_a_server_that_a_folder_names(tmp_path, monkeypatch, capsys, few_figures):
    """Reading commands go on without it and name it; what needs it asks for the flag, which is remembered."""
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NRTUNE_TRACKING_URI", "http://ada:hunter2secret@elsewhere.example")
    with listener() as server:
        folder = foreign(tmp_path / "c", tracking_uri=server.uri)
        for command in ("status", "trials", "best", "report"):
            code, out, err = run(monkeypatch, capsys, command, folder)
            assert code == 0, (command, err)
            assert command not in ("status", "report") or server.uri in out + err
        needing = ("track", folder), ("register", folder, "--name", "m"), ("replicate", folder), ("ui", folder)
        for arguments in needing:
            code, _, err = run(monkeypatch, capsys, *arguments)
            assert (code, server.uri in err, REFUSED in " ".join(err.split())) == (2, True, True), err
        assert server.heard == []

        code, _, err = run(monkeypatch, capsys, "track", folder, "--tracking-uri", server.uri)
        assert (code, "the server refuses the login" in err) == (2, True), err
        assert {one["Authorization"] for one in server.heard} == {"Basic YWRhOmh1bnRlcjJzZWNyZXQ="}
        asked = len(server.heard)
        code, _, err = run(monkeypatch, capsys, "track", folder)
        assert (code, "the server refuses the login" in err) == (2, True), err
        assert len(server.heard) > asked

        copy = Path(shutil.copytree(folder, tmp_path / "copy"))  # is at no place that this account gave it for
        asked = len(server.heard)
        code, _, err = run(monkeypatch, capsys, "track", copy)
        assert (code, REFUSED in " ".join(err.split()), len(server.heard)) == (2, True, asked)


def test_no_login_goes_to_a_server_that_a_database_names(tmp_path, monkeypatch, capsys):
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    folder = foreign(tmp_path / "c")
    assert run(monkeypatch, capsys, "track", folder)[0] == 0
    with listener() as server:
        with closing(sqlite3.connect(folder / DATABASE)) as database, database:
            database.execute("UPDATE runs SET artifact_uri = ?", (f"{server.uri}/x",))
        with pytest.raises(UserError, match=f"a database names {server.uri}/x for its files"):
            open_campaign(default_uri(folder)).predictions("BASE-001")
        for arguments in (("track", folder), ("ensemble", default_uri(folder), "--use-case", "in_distribution")):
            code, _, err = run(monkeypatch, capsys, *arguments)
            assert (code, server.uri in err) == (2, True), err
    assert server.heard == []


def test_an_address_of_the_environment_is_given(tmp_path, monkeypatch):
    folder = foreign(tmp_path / "c", tracking_uri="http://ada@x.example", address="1.2.3.4:6379")
    assert not is_given(folder, "tracking_uri", "http://ada@x.example")
    monkeypatch.setenv("NRTUNE_TRACKING_URI", "http://ada:pw@x.example")
    monkeypatch.setenv("RAY_ADDRESS", "1.2.3.4:6379")
    assert is_given(folder, "tracking_uri", "http://ada@x.example")
    assert is_given(folder, "address", "1.2.3.4:6379")
    assert not is_given(folder, "optuna_storage", "http://x.example")


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("address", "127.0.0.1:9", "--address"),
        ("tracking_uri", "http://127.0.0.1:9", "--tracking-uri"),
        ("optuna_storage", "postgresql://eve@127.0.0.1:9/x", "--optuna-storage"),
    ],
)
def test_a_folder_s_addresses_are_no_settings(name, value, flag, simulated_folder, tmp_path, monkeypatch, capsys):
    """As a colleague's folder has them, who knows all else that this account would say."""
    settings = Settings(data=simulated_folder / HDF5_NAME, out=tmp_path / "out", trials=1, epochs=1, confirm="none")
    plan = prepare(settings)
    open_ledger(plan.folder, "c", plan.identity(), plan.about(), must_exist=False).close()
    write_addresses(plan.folder, **{name: value})
    (tmp_path / "settings.yaml").write_text(settings.to_yaml())
    commands = [("search", "--resume", "--out", plan.folder), ("retry", plan.folder)]
    commands += [("search", tmp_path / "settings.yaml")] if name == "tracking_uri" else []
    commands += [("replicate", plan.folder)] if name != "optuna_storage" else []
    for arguments in commands:
        code, _, err = run(monkeypatch, capsys, *arguments)
        assert (code, f"names {value} as its {name}, {REFUSED} {flag} {value}" in err) == (2, True), (arguments, err)
    if name == "optuna_storage":
        code, _, err = run(monkeypatch, capsys, "ui", plan.folder, "--optuna")
        assert (code, f"{REFUSED} {flag} {value}" in err) == (2, True), err
    assert load_settings(None, {"out": plan.folder, "resume": True, name: value}, Settings).resume  # given now
    remember(plan.folder, {name: value})
    assert getattr(load_settings(None, {"out": plan.folder, "resume": True}, Settings), name) == value


def test_what_is_remembered_is_the_user_s_alone_and_has_no_password(tmp_path, state):
    folder = foreign(tmp_path / "c")
    remember(folder, {"tracking_uri": "http://ada:hunter2secret@x.example", "address": None})
    remember(folder, {"tracking_uri": "http://y.example", "address": "auto"})
    for uri in ("http://ada@x.example", "http://y.example"):
        check_given(folder, "tracking_uri", uri)
    (path,) = state.rglob("*.json")
    assert "hunter2secret" not in path.read_text()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.write_text("{")  # damaged: as if nothing were known
    with pytest.raises(UserError, match="never gave"):
        check_given(folder, "tracking_uri", "http://y.example")
    remember(folder, {"tracking_uri": "http://y.example"})
    check_given(folder, "tracking_uri", "http://y.example")


def test_a_home_that_can_t_be_written_is_asked_again_and_hinders_nothing(tmp_path, state):
    folder = foreign(tmp_path / "c")
    state.write_text("a file where the folder should be")
    remember(folder, {"address": "auto"})
    assert not is_given(folder, "address", "auto")
