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
from nrtune.orchestrator.tracking.registry import _tag_winners
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


@pytest.mark.end_to_end
def test_runs_say_where_they_are_from_and_have_the_data_as_inputs(tmp_path):
    manifest = {
        "id": "x", "name": "c", "benchmarks": ["cagi5"], "software": {"git commit": "abc+"},
        "identity": {"select_on": "release", "command": "search", "data": "d" * 64, "cagi5": "e" * 64},
        "data": {"name": "mine", "path": "mine.h5", "train": 3, "val": 2, "test": 1},
        "cagi5": {"path": "folder", "title": "CAGI5"},
    }  # fmt: skip
    tracker = MlflowTracker.open(None, tmp_path, manifest, {"seed": 0})
    tracker.start(Proposal("T-001", "rank_stability", 0, {"loss": "mse", "lr": 0.1}, "f", None, {}), {})
    tracker = MlflowTracker.open(None, tmp_path, manifest, {"seed": 0})
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    for run_id in (tracker.parent_id, tracker._runs["f"].info.run_id):
        run = tracker.client.get_run(run_id)
        tags = run.data.tags
        assert (tags["mlflow.source.name"], tags["mlflow.source.git.commit"]) == ("nrtune search", "abc")
        assert tags["mlflow.user"] == run.info.user_id
        inputs = {one.dataset.name: one for one in run.inputs.dataset_inputs}
        assert {name: one.dataset.digest for name, one in inputs.items()} == {"mine": "d" * 36, "CAGI5": "e" * 36}
        assert json.loads(inputs["mine"].dataset.profile) == {"train": 3, "val": 2, "test": 1}
        assert [(tag.key, tag.value) for tag in inputs["CAGI5"].tags] == [("mlflow.data.context", "evaluation")]
    note = tracker._runs["f"].data.tags["mlflow.note.content"]
    assert note.startswith(
        "A trial of the family rank stability in the campaign c, whose folder has its files in `trials/f`."
    )
    assert note.endswith("| parameter | value |\n| --- | --- |\n| `loss` | `mse` |\n| `lr` | `0.1` |")


@pytest.mark.end_to_end
def test_winners_are_tagged_with_their_use_cases_and_verdicts_of_the_last_report(tmp_path):
    manifest = {"id": "x", "name": "c", "identity": {"select_on": "release"}}
    tracker = MlflowTracker.open(None, tmp_path, manifest, {})
    for name in ("a", "b"):
        tracker.start(Proposal(name, "baseline", 0, {"lr": 0.1}, name, None, {}), {})

    def tags(*winners: tuple[str, str, str]) -> dict[str, dict[str, str]]:
        said = {case: {"fingerprint": of, "verdict": {"against_baseline": verdict}} for case, of, verdict in winners}
        _tag_winners(tracker.client, tracker.client.get_run(tracker.parent_id), {**said, "pearson": None})
        runs = {name: tracker.client.get_run(tracker._runs[name].info.run_id).data.tags for name in ("a", "b")}
        return {
            name: {k: v for k, v in of.items() if k.startswith(("use_case", "verdict"))} for name, of in runs.items()
        }

    first = tags(("overall", "a", "better"), ("balance", "a", "not tested"), ("hc_lc_gap", "b", "worse"))
    assert first == {
        "a": {"use_case": "overall, balance", "verdict.overall": "better", "verdict.balance": "not tested"},
        "b": {"use_case": "hc_lc_gap", "verdict.hc_lc_gap": "worse"},
    }
    assert tags(("overall", "b", "better")) == {"a": {}, "b": {"use_case": "overall", "verdict.overall": "better"}}
