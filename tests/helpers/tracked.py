"""A campaign of a few trials as its folder holds it, for what is tracked of one: no trial is trained."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from command_line import wait_until
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from trial_records import record

from nrtune.analysis.sources.mlflow import EXPERIMENT
from nrtune.analysis.store.records import TrialRecord
from nrtune.orchestrator.campaign.shown import parameters_of, tags_of
from nrtune.orchestrator.lifecycle.tracker_sink import TrackerSink
from nrtune.orchestrator.lifecycle.trial import LiveTrial
from nrtune.orchestrator.state.ledger import Ledger, open_ledger
from nrtune.orchestrator.tracking.trackers.mlflow import MlflowTracker
from nrtune.trainables.core.files import HISTORY, predictions_file

CONFIG = {"encoder": "motif_cnn", "head": "point", "loss": "mse", "sampler": "uniform", "seed": 0, "lr": 0.01}
IDENTITY = {"command": "search", "recipe": 1, "data": "abc", "cagi5": "def", "preset": "small", "epochs": 2,
            "select_on": "release", "tracker": "mlflow", "tracking_uri": None, "seed": 0, "sampler": "tpe",
            "scheduler": "asha", "encoders": ["motif_cnn"], "objective": ["test/spearman:max"]}  # fmt: skip
ABOUT = {"settings": {"families": ["baseline"]}, "data": {"name": "x.h5", "path": "x.h5", "length": 230},
         "benchmarks": ["cagi5"], "cagi5": {"path": "cagi5", "matched": ["F9"], "cell_line": "K562"}}  # fmt: skip


def ended(name: str, **fields: Any) -> TrialRecord:
    """A trial that ended after two epochs."""
    given = {"config": CONFIG, "metrics": {"test/spearman": 0.5, "val/spearman": 0.4}, "epochs_trained": 2,
             "started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:01:00+00:00"}  # fmt: skip
    return record(name, **{**given, **fields})


def opened(folder: Path, identity: dict[str, Any] | None = None) -> Ledger:
    """Such a campaign's ledger."""
    return open_ledger(folder, "c", IDENTITY if identity is None else identity, ABOUT, must_exist=False)


def append(ledger: Ledger, trial: TrialRecord) -> None:
    """A trial's record, its curves, and a file that a tracker stores."""
    folder = ledger.trial_folder(trial.fingerprint)
    folder.mkdir(parents=True)
    curve = [{"epoch": epoch, "train/loss": 1 / epoch, "val/spearman": 0.2 * epoch, "seconds": 1.0} for epoch in (1, 2)]
    (folder / HISTORY).write_text(json.dumps(curve))
    (folder / predictions_file("test")).write_text(f"of {trial.name}")
    ledger.append(trial)


def campaign(folder: Path, *names: str) -> Path:
    """A campaign whose trials have ended; the last is a replicate of the first."""
    ledger = opened(folder)
    for name in names:
        append(ledger, ended(name, replicate_of=names[0] if name == names[-1] and len(names) > 1 else None))
    ledger.write_status("finished", "search", [])
    ledger.close()
    return folder


def runs_at(client: MlflowClient) -> tuple[list[Run], dict[str, Run]]:
    """The campaign's own runs that are not deleted, and those of its trials by name."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = list(client.search_runs([experiment.experiment_id], max_results=1000))
    trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    by_name = {run.info.run_name: run for run in trials}
    assert len(by_name) == len(trials), "a trial has two runs"
    return [run for run in runs if run not in trials], by_name


def check_whole(client: MlflowClient, *names: str) -> dict[str, Run]:
    """See that each trial is there once: parameters, final metrics, curves, its file, its end, below the one campaign."""
    (parent,), trials = runs_at(client)
    assert set(trials) == set(names)
    assert (parent.info.status, parent.data.params["matched"], parent.data.params["families"]) == (
        "FINISHED",
        "F9",
        "baseline",
    )
    for name, run in trials.items():
        assert (run.info.status, run.data.tags["nrtune.status"]) == ("FINISHED", "finished")
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params == {key: str(value) for key, value in CONFIG.items()}
        assert (run.data.metrics["test/spearman"], run.data.metrics["objective"]) == (0.5, 0.5)
        curve = client.get_metric_history(run.info.run_id, "val/spearman")
        assert [(point.step, point.value) for point in curve] == [(1, 0.2), (2, 0.4)], name
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == [predictions_file("test")]
    return trials


class TrackedSearch:
    """A search without its trainings: its ledger, and the sink that its trials are told to."""

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        self.ledger = opened(folder)
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


def delete_child(client: MlflowClient) -> None:
    client.delete_run(runs_at(client)[1]["BASE-001"].info.run_id)


def delete_parent(client: MlflowClient) -> None:
    client.delete_run(runs_at(client)[0][0].info.run_id)


def delete_experiment(client: MlflowClient) -> None:
    client.delete_experiment(client.get_experiment_by_name("nrtune").experiment_id)


DELETIONS = (delete_child, delete_parent, delete_experiment)
"""What a user may delete in MLflow's pages while the trial BASE-001 runs."""
