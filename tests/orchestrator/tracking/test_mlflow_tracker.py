"""Each value once, whatever the crash."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from trial_records import record

from nrtune.analysis.store.records import Proposal
from nrtune.orchestrator.state.locations import DATABASE, default_uri
from nrtune.orchestrator.tracking.trackers.mlflow import MlflowTracker


@pytest.mark.end_to_end
def test_mlflow_is_written_once_whatever_the_crash(tmp_path):
    """Struck between an end's last tag and its closing; between a run and its parameters; and asked to write twice."""
    manifest = {"id": "x", "name": "c", "identity": {"select_on": "release"}}

    def tracker() -> MlflowTracker:
        return MlflowTracker.open(None, tmp_path, manifest, {"seed": 0})

    proposal = Proposal("T-001", "baseline", 0, {"lr": 0.1}, "f", "X1", {"Y2": "b"})
    ended = record("f", metrics={"test/spearman": 0.5}, ended="2026-01-01T00:00:00+00:00")
    first = tracker()
    log_batch, first.client.log_batch = first.client.log_batch, lambda *_, **__: None  # as if it were never reached
    first.start(proposal, {})
    first.client.log_batch = log_batch
    run_id = first._runs["f"].info.run_id
    first.log_history("f", [{"epoch": 1.0, "train/loss": 2.0}])
    first.client.set_terminated = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        first.finish(ended, (), [], 0.5)
    second = tracker()
    assert not second.is_closed("f")
    assert second.unfinished() == ["f"]
    second.start(proposal, {})
    second.finish(ended, [{"epoch": 1.0, "train/loss": 2.0}, {"epoch": 2.0, "train/loss": 1.0}], [], 0.5)
    third = tracker()
    assert third.is_closed("f")
    run = third.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.1"}
    assert (run.data.tags["published"], run.data.tags["also_published"]) == ("X1", "Y2")
    assert [m.value for m in third.client.get_metric_history(run_id, "test/spearman")] == [0.5]
    assert [m.value for m in third.client.get_metric_history(run_id, "train/loss")] == [2.0, 1.0]


@pytest.mark.end_to_end
def test_a_database_killed_at_its_making_is_made_anew(tmp_path):
    manifest = {"id": "x", "name": "c", "identity": {"select_on": "release"}}
    code = (
        "import json, sys; from pathlib import Path; from nrtune.orchestrator.tracking.trackers.mlflow import MlflowTracker\n"
        "uri, folder, manifest = sys.argv[1:]\n"
        "MlflowTracker.open(uri, Path(folder), json.loads(manifest), {})"
    )
    command = [sys.executable, "-c", code, default_uri(tmp_path), tmp_path, json.dumps(manifest)]
    with subprocess.Popen(command) as maker:
        while not any(path.stat().st_size for path in tmp_path.glob(".mlflow.db.*.partial")):
            assert maker.poll() is None
            time.sleep(0.01)
        maker.kill()
    assert not (tmp_path / DATABASE).exists()
    tracker = MlflowTracker.open(None, tmp_path, manifest, {"seed": 0})
    assert tracker.client.get_run(tracker.parent_id).data.params == {"seed": "0"}


@pytest.mark.end_to_end
def test_a_closed_run_stays_closed_whatever_comes_late(tmp_path):
    manifest = {"id": "x", "name": "c", "identity": {"select_on": "release"}}
    tracker = MlflowTracker.open(None, tmp_path, manifest, {"seed": 0})
    proposal = Proposal("T-001", "baseline", 0, {"lr": 0.1}, "f", None, {})
    tracker.start(proposal, {})
    tracker.finish(record("f", metrics={"test/spearman": 0.5}, ended="2026-01-01T00:00:00+00:00"), (), [], 0.5)
    tracker.start(proposal, {})
    tracker.interrupt(["f"])
    run = tracker.client.get_run(tracker._runs["f"].info.run_id)
    assert (run.info.status, run.data.tags["nrtune.status"]) == ("FINISHED", "finished")
