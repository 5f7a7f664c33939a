"""MLflow as a server: a campaign recorded over HTTP, and the page that `nrtune ui` serves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from campaign_records import mlflow_runs
from command_line import CommandLine
from mlflow.tracking import MlflowClient
from servers import door_to, free_port, mlflow_server, served
from tracked import DELETIONS, TrackedSearch, campaign, check_whole

from nrtune.analysis.sources.mlflow_client import open_client
from nrtune.analysis.sources.open import open_campaign
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.campaign.track import track
from nrtune.orchestrator.cli import serve
from nrtune.orchestrator.state.locations import tracking_uri
from nrtune.orchestrator.state.settings import Settings
from nrtune.orchestrator.views import status
from nrtune.trainables.core.errors import UserError

pytestmark = pytest.mark.slow


def test_a_campaign_is_recorded_by_a_server(shared_ray, settings: Settings, tmp_path: Path):
    port = free_port()
    command = mlflow_server(tmp_path, port)
    uri = f"http://127.0.0.1:{port}"
    with served(command, port):
        remote = settings.model_copy(update={"tracking_uri": uri, "trials": 2})
        assert run_campaign(prepare(remote)).state == "finished"
        parents, children = mlflow_runs(Path(str(remote.out)), uri)
        records = {r.fingerprint: r for r in open_campaign(str(remote.out)).records()}
        assert len(parents) == 1
        client = MlflowClient(tracking_uri=uri)
        assert {run.data.tags["nrtune.fingerprint"] for run in children} == set(records)
        for run in children:
            record = records[run.data.tags["nrtune.fingerprint"]]
            assert run.data.metrics["test/spearman"] == pytest.approx(record.metrics["test/spearman"])
        assert len(list((tmp_path / "store").rglob("best.pt"))) == 2
        told = status.status_text(uri).splitlines()
        assert told[0].endswith(": finished")
        assert [line for line in told if line.startswith("  ")] == ["  baseline: 2 finished"]
        client.set_tag(parents[0].info.run_id, "nrtune.status", "running")
        client.set_tag(children[0].info.run_id, "nrtune.status", "running")
        told = status.status_text(f"{uri}#{parents[0].info.run_name}").splitlines()
        assert "running, or cut off" in told[0]
        value = children[0].data.metrics["val/spearman"]
        assert told[2:4] == [
            "  baseline: 1 finished",
            f"  running {children[0].info.run_name}: validation Spearman {value:.3f}",
        ]
    assert not (Path(str(remote.out)) / "mlflow.db").exists()
    assert tracking_uri(Path(str(remote.out))) == uri
    with pytest.raises(UserError, match="open http"):
        serve.serve_mlflow(Path(str(remote.out)), port)


def test_a_trial_with_its_model_takes_few_requests(shared_ray, settings: Settings, tmp_path: Path):
    """Those that name it, its run or its model; what is asked of the campaign as a whole comes once."""
    port = free_port()
    with served(mlflow_server(tmp_path, port), port), door_to(f"http://127.0.0.1:{port}") as door:
        remote = settings.model_copy(update={"tracking_uri": door.uri, "trials": 2})
        assert run_campaign(prepare(remote)).state == "finished"
        _, children = mlflow_runs(Path(str(remote.out)), f"http://127.0.0.1:{port}")
        once = list(door.asked)
        track(Path(str(remote.out)), door.uri, print)
    assert len(children) == 2
    for run in children:
        names = (run.info.run_id, run.outputs.model_outputs[0].model_id, f'"{run.info.run_name}"')
        asked = [request for request in once if any(name in request for name in names)]
        assert 10 < len(asked) < 20, "\n".join(request[:120] for request in asked)
    assert len(door.asked) - len(once) < 20  # nothing is lacking


@pytest.mark.parametrize("delete", DELETIONS)
def test_what_is_deleted_on_a_server_is_made_anew_meanwhile_and_afterwards(tmp_path: Path, delete):
    port = free_port()
    uri, folder = f"http://127.0.0.1:{port}", campaign(tmp_path / "c")
    with served(mlflow_server(tmp_path, port), port):
        search, client = TrackedSearch(folder, uri), open_client(uri)
        search.start("BASE-001")
        delete(client)
        search.end("BASE-001")
        search.start("BASE-002")
        search.end("BASE-002")
        search.close()
        assert search.said == []
        check_whole(client, "BASE-001", "BASE-002")
        delete(client)
        for _ in range(2):
            track(folder, uri, search.said.append)
            check_whole(client, "BASE-001", "BASE-002")
    assert search.said == []


def test_a_proxy_that_is_away_keeps_nobody_from_what_runs_on_this_machine(settings: Settings, tmp_path: Path):
    """Neither from a server nor from Ray."""
    port, away = free_port(), f"http://127.0.0.1:{free_port()}"
    uri = f"http://localhost:{port}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    with served(mlflow_server(tmp_path, port), port):
        remote = settings.model_copy(update={"tracking_uri": uri})
        said = CommandLine(remote, tmp_path, **dict.fromkeys(names, away)).finish()
        (parent,), (run,) = mlflow_runs(Path(str(remote.out)), f"http://127.0.0.1:{port}")
    assert "MLflow lacks" not in said
    assert "View run" not in said
    assert (parent.info.status, run.info.status) == ("FINISHED", "FINISHED")


def test_a_server_that_goes_away_does_not_end_the_search(shared_ray, settings: Settings, tmp_path: Path):
    port = free_port()
    command = mlflow_server(tmp_path, port)
    remote = settings.model_copy(update={"tracking_uri": f"http://127.0.0.1:{port}", "trials": 4, "max_concurrent": 1})
    ledger = Path(str(remote.out)) / "trials.jsonl"
    with served(command, port) as process:

        def take_away() -> None:
            while not ledger.exists():
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGKILL)

        thief = threading.Thread(target=take_away)
        thief.start()
        outcome = run_campaign(prepare(remote))
        thief.join()
        process.wait(30)
    assert outcome.state == "finished"
    assert outcome.counts["finished"] + outcome.counts["pruned"] == 4
    with served(command, port):
        assert run_campaign(prepare(remote)).state == "finished"  # trains nothing, and writes what MLflow missed
        _, children = mlflow_runs(Path(str(remote.out)), f"http://127.0.0.1:{port}")
    assert len(children) == 4
    assert {run.info.status for run in children} == {"FINISHED"}
    assert all("test/spearman" in run.data.metrics for run in children)


def test_a_server_that_comes_after_the_search_with_a_login_and_no_place_for_files(
    shared_ray, settings: Settings, tmp_path: Path, monkeypatch, capsys
):
    """Away from the start to the end; then without a login, with a wrong and the right one; files have no place there."""
    port = free_port()
    uri, out = f"http://127.0.0.1:{port}", Path(str(settings.out))
    assert run_campaign(prepare(settings.model_copy(update={"tracking_uri": uri}))).state == "finished"
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("no MLflow server answers") == 2  # at once, and at the end
    assert "MLflow lacks 1 of 1 trial (" in said
    assert f"write what is missing with: nrtune track {out}" in said
    (record,) = open_campaign(str(out)).records()
    command = mlflow_server(tmp_path, port, "--no-serve-artifacts", "--default-artifact-root", "file:///proc/none")
    with served(command, port), door_to(uri, "ada:right") as door:
        for password in (None, "wrong"):
            if password is not None:
                monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
                monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
            with pytest.raises(
                UserError, match="the server refuses the login, or wants one: set MLFLOW_TRACKING_USERNAME"
            ):
                track(out, door.uri, print)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "right")
        with pytest.raises(UserError, match="MLflow lacks the files of 1 trial"):
            track(out, door.uri, print)
        (parent,), (run,) = mlflow_runs(out, uri)
    assert (parent.info.status, run.info.status) == ("FINISHED", "FINISHED")
    assert run.data.metrics["test/spearman"] == pytest.approx(record.metrics["test/spearman"])
    assert run.data.metrics["train/loss"] > 0


def test_a_server_that_never_answers_does_not_keep_a_search_from_ending(settings: Settings, tmp_path: Path):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    remote = settings.model_copy(update={"tracking_uri": uri, "trials": 2, "epochs": 8, "grace_epochs": 8})
    command, out = CommandLine(remote, tmp_path), Path(str(remote.out))
    with served(mlflow_server(tmp_path, port), port) as process:

        def frozen() -> bool:
            if not any(out.glob("trials/*/last.pt")):
                return False
            os.killpg(process.pid, signal.SIGSTOP)
            return True

        try:
            code, err = command.strike(signal.SIGINT, frozen)
        finally:
            os.killpg(process.pid, signal.SIGCONT)
        assert code == 130
        assert "waiting for MLflow" in err
        assert "MLflow takes too long" in err
        assert f"write what is missing with: nrtune track {out}" in err
        assert "Traceback" not in err
        command.finish()
        _, children = mlflow_runs(out, uri)
    assert len(children) == 2
    assert {run.info.status for run in children} == {"FINISHED"}


def test_the_ui_is_served_on_loopback_and_leaves_nothing_behind(shared_ray, settings: Settings):
    run_campaign(prepare(settings))
    port = free_port()
    command = [sys.executable, "-m", "nrtune", "ui", str(settings.out), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "in a browser" not in (line := process.stderr.readline()):
            assert line, "the server ended"
        with pytest.raises(UserError, match=f"port {port} is taken"):
            serve.serve_mlflow(Path(str(settings.out)), port)
        process.terminate()
        assert process.wait(60) == 0
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    finally:
        process.kill()
        process.communicate()
