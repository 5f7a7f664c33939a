"""`nrtune ui` among other accounts of the machine, and pages elsewhere in the user's browser: each attack is carried out."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from command_line import Command
from servers import free_port
from tracked import campaign, runs_at

from nrtune.analysis.sources.mlflow_client import open_client
from nrtune.orchestrator.campaign.track import track
from nrtune.orchestrator.search.optuna_storage import open_storage, open_study
from nrtune.orchestrator.state.locations import ARTIFACTS, DATABASE, default_uri
from tests.helpers.accounts import OTHER, as_account

pytestmark = pytest.mark.end_to_end

API = "/ajax-api/2.0/mlflow"
ASKING = """
import http.client, json, sys
port, requests = json.load(sys.stdin)
found = []
for method, path, headers in requests:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, b"{}" if method != "GET" else None, headers)
    found.append(connection.getresponse().status)
print(json.dumps(found))
"""


class Ui(NamedTuple):
    """A running `nrtune ui`: its link without the address, and a cookie once that was opened."""

    port: int
    link: str
    headers: dict[str, str]

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        content = None if body is None else json.dumps(body)
        given = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        connection.request(method, path, content, given)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def mine(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """What whoever opened the link is answered."""
        status, _, content = self.ask(method, path, body, **{**self.headers, **headers})
        return status, content


@contextmanager
def served(folder: Path, *options: str, before: list[str] | None = None) -> Iterator[Ui]:
    port = free_port()
    command = [*(before or []), sys.executable, "-m", "nrtune", "ui", str(folder), "--port", str(port), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = ""
        while (found := re.search(rf"open http://127\.0\.0\.1:{port}(\S+) in a browser", said)) is None:
            line = process.stderr.readline()
            assert line, said
            said += line
        yield Ui(port, found[1], {})
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def enter(ui: Ui) -> Ui:
    status, headers, _ = ui.ask("GET", ui.link.partition("#")[0])
    assert status == 200
    cookie, *about = headers["Set-Cookie"].split("; ")
    assert cookie.startswith(f"nrtune-{ui.port}=")
    assert {"HttpOnly", "SameSite=Strict"} <= set(about)
    return ui._replace(headers={"Cookie": cookie})


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign with runs, an artifact each, one that is a symbolic link, and a study."""
    folder = campaign(tmp_path_factory.mktemp("gate") / "c", "BASE-001", "RS-001")
    track(folder, None, print)
    storage = open_storage(folder, None)
    open_study(storage, "c/baseline", "c").optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=2)
    return folder


@pytest.fixture(scope="module")
def mlflow(tracked: Path) -> Iterator[Ui]:
    with served(tracked) as ui:
        others(ui, tracked.parent / "home")
        yield enter(ui)


PATHS = ["/", "/?token=wrong", "/health", "/version", "/static-files/x.js", "/get-artifact?run_id=x&path=y", "/graphql",
         f"{API}/experiments/search?max_results=10", f"{API}/runs/search", f"{API}/experiments/create", f"{API}/runs/delete",
         "/api/2.0/mlflow/runs/set-tag", f"{API}/artifacts/list?run_id=x", "/dashboard", "/api/studies", "/api/studies/0",
         "/csv/0", "/%2e%2e/x", "//", "/nothing"]  # fmt: skip


def others(ui: Ui, home: Path) -> None:
    """See that another account gets nothing, however it asks, before the link was opened or after."""
    prefix = as_account(OTHER, home)
    forged = {"Cookie": f"nrtune-{ui.port}=; nrtune-{ui.port}=x", "Authorization": "Bearer x"}
    requests = [
        (method, path, headers)
        for path in PATHS
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        for headers in ({}, forged)
    ]
    done = subprocess.run(
        [*prefix, sys.executable, "-c", ASKING],
        input=json.dumps([ui.port, requests]),
        capture_output=True,
        text=True,
        check=True,
    )
    statuses = json.loads(done.stdout)
    assert len(statuses) == len(requests)
    assert set(statuses) == {403}


def run_of(folder: Path) -> str:
    _, trials = runs_at(open_client(default_uri(folder)))
    return str(trials["RS-001"].info.run_id)


def experiment_of(folder: Path) -> str:
    (parent,), _ = runs_at(open_client(default_uri(folder)))
    return str(parent.info.experiment_id)


def test_other_accounts_get_nothing_and_the_link_opens_once(mlflow: Ui, tracked: Path):
    others(mlflow, tracked.parent / "home")
    assert mlflow.link.partition("#")[2].startswith(f"/experiments/{experiment_of(tracked)}/runs")
    link = mlflow.link.partition("#")[0]
    status, headers, body = mlflow.ask("GET", link)
    assert (status, headers["Set-Cookie"]) == (403, None)
    assert b"opens once" in body
    for _ in range(2):  # the cookie goes on working, and with it the link in the browser that has it
        assert mlflow.mine("GET", "/version")[0] == 200
        assert mlflow.mine("GET", link)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1.attacker.example:5000"},
        {"Host": ""},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another server of this machine, another account's for one
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
    ids=str,
)
def test_pages_elsewhere_are_refused_whatever_cookie_they_bring(mlflow: Ui, headers: dict[str, str]):
    for method, path in (("GET", "/version"), ("POST", f"{API}/runs/search")):
        assert mlflow.mine(method, path, {} if method == "POST" else None, **headers)[0] == 403
    own = {
        "Host": f"localhost:{mlflow.port}",
        "Origin": f"http://localhost:{mlflow.port}",
        "Sec-Fetch-Site": "same-origin",
    }
    assert mlflow.mine("GET", "/version", **own)[0] == 200


def test_what_reads_is_answered_and_nothing_is_changed(mlflow: Ui, tracked: Path):
    run, experiment = run_of(tracked), experiment_of(tracked)
    status, found = mlflow.mine("POST", f"{API}/runs/search", {"experiment_ids": [experiment]})
    assert status == 200
    assert run in found.decode()
    assert mlflow.mine("GET", "/")[0] == 200
    for method, path, body in (
        ("POST", "runs/delete", {"run_id": run}),
        ("POST", "runs/set-tag", {"run_id": run, "key": "a", "value": "b"}),
        ("POST", "experiments/create", {"name": "x", "artifact_location": "/etc"}),
        ("POST", "experiments/delete", {"experiment_id": experiment}),
        ("POST", "upload-artifact?run_uuid={run}&path=x", {}),
        ("DELETE", "registered-models/delete", {"name": "x"}),
        ("PATCH", "registered-models/update", {"name": "x"}),
        ("POST", "gateway-proxy", {"gateway_path": "x"}),
        ("GET", "../../3.0/mlflow/gateway/secrets/list", None),
    ):
        for prefix in (API, API.replace("ajax-api", "api")):
            assert mlflow.mine(method, f"{prefix}/{path}", body)[0] == 403, path
    assert mlflow.mine("GET", "/ajax-api/3.0/mlflow/gateway/secrets/list")[0] == 403
    parents, trials = runs_at(open_client(default_uri(tracked)))
    assert len(parents) == 1
    assert set(trials) == {"BASE-001", "RS-001"}
    assert "a" not in trials["RS-001"].data.tags


def test_artifacts_are_those_of_the_campaign_and_no_link_is_followed(mlflow: Ui, tracked: Path):
    run = run_of(tracked)
    (folder,) = (tracked / ARTIFACTS).rglob(f"{run}/artifacts")
    (artifact,) = folder.rglob("predictions_test.parquet")
    shown = artifact.relative_to(folder)
    secret = tracked.parent / "secret.txt"
    secret.write_text("of the owner alone")
    (folder / "file").symlink_to(secret)
    (folder / "folder").symlink_to(tracked.parent)
    os.mkfifo(folder / "fifo")
    try:
        assert mlflow.mine("GET", f"/get-artifact?run_uuid={run}&path={shown}") == (200, b"of RS-001")
        for path in ("file", "folder/secret.txt", "fifo", "../../../../secret.txt", str(secret), "%2e%2e/secret.txt"):
            status, body = mlflow.mine("GET", f"/get-artifact?run_uuid={run}&path={path}")
            assert status >= 400, path
            assert b"of the owner" not in body
        status, listed = mlflow.mine("GET", f"{API}/artifacts/list?run_id={run}")
        assert status == 200
        assert b'"folder"' not in listed
        status, listed = mlflow.mine("GET", f"{API}/artifacts/list?run_id={run}&path=folder")
        assert b"secret.txt" not in listed
    finally:
        for name in ("file", "folder", "fifo"):
            (folder / name).unlink()


def test_what_may_be_changed_is_changed_with_write_alone(tmp_path: Path):
    folder = campaign(tmp_path / "c", "BASE-001")
    track(folder, None, print)
    with served(folder, "--write") as closed:
        ui = enter(closed)
        own = run_of_only(folder)
        assert ui.mine("POST", f"{API}/runs/set-tag", {"run_id": own, "key": "a", "value": "b"})[0] == 200
        assert ui.mine("GET", "/ajax-api/3.0/mlflow/gateway/secrets/list")[0] == 403
    assert open_client(default_uri(folder)).get_run(own).data.tags["a"] == "b"


def test_a_database_that_names_other_folders_is_not_served(tmp_path: Path):
    """As one may that came with a folder from anywhere: an experiment of its own, and a run in another place."""
    folder = campaign(tmp_path / "c", "BASE-001")
    track(folder, None, print)
    client = open_client(default_uri(folder))
    client.create_run(client.create_experiment("planted", artifact_location=tmp_path.as_uri()))
    for options in ((), ("--write",)):
        with Command("ui", folder, "--port", str(free_port()), *options).start() as process:
            assert process.end() == 2
        assert f"{folder / DATABASE}: names files at {tmp_path.as_uri()}" in process.err


def run_of_only(folder: Path) -> str:
    _, trials = runs_at(open_client(default_uri(folder)))
    return str(trials["BASE-001"].info.run_id)


def test_a_folder_that_may_only_be_read_and_was_moved_is_shown_to_whom_it_does_not_belong(
    tracked: Path, tmp_path: Path
):
    as_other = as_account(OTHER, tmp_path / "home")
    # Those of pytest, and of a running search, are closed to other accounts.
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o755)
        folder = Path(shutil.copytree(tracked, Path(place) / "moved"))
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        with served(folder, before=as_other) as closed:
            ui = enter(closed)
            run = run_of(tracked)
            assert ui.mine("POST", f"{API}/runs/search", {"experiment_ids": [experiment_of(tracked)]})[0] == 200
            (artifact,) = (folder / ARTIFACTS).rglob(f"{run}/artifacts/**/predictions_test.parquet")
            path = str(artifact).rpartition(f"{run}/artifacts/")[2]
            (tracked / ARTIFACTS / artifact.relative_to(folder / ARTIFACTS)).write_text("of the original")
            assert ui.mine("GET", f"/get-artifact?run_uuid={run}&path={path}") == (200, b"of RS-001")
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_optunas_dashboard_is_behind_the_same_gate(tracked: Path, tmp_path: Path):
    with served(tracked, "--optuna") as closed:
        others(closed, tmp_path / "home")
        ui = enter(closed)
        others(ui, tmp_path / "home")
        assert ui.ask("GET", ui.link)[0] == 403
        status, found = ui.mine("GET", "/api/studies")
        assert status == 200
        (study,) = json.loads(found)["study_summaries"]
        assert ui.mine("GET", "/dashboard")[0] == 200
        assert ui.mine("GET", "/api/studies", Host="attacker.example")[0] == 403
        for method, path in (
            ("DELETE", f"/api/studies/{study['study_id']}"),
            ("PUT", f"/api/studies/{study['study_id']}/note"),
            ("POST", "/api/studies"),
            ("POST", "/api/trials/0/tell"),
        ):
            assert ui.mine(method, path, {})[0] == 403
    with served(tracked, "--optuna", "--write") as closed:
        ui = enter(closed)
        forged = {"Origin": "https://attacker.example"}
        assert ui.mine("DELETE", f"/api/studies/{study['study_id']}", **forged)[0] == 403
        note = {"body": "mine", "version": 1}
        assert ui.mine("PUT", f"/api/studies/{study['study_id']}/note", note)[0] == 204
