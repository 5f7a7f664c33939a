"""Looks into what a campaign records: its own records, Optuna's study, MLflow's runs, and the decisions of early stopping."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import optuna

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import MANIFEST, read_manifest
from nrtune.orchestrator.lifecycle.rules import EarlyStopping, make_rule
from nrtune.orchestrator.lifecycle.stopping import STOPPING
from nrtune.orchestrator.search.optuna_storage import open_storage
from nrtune.orchestrator.state.given import remember
from nrtune.orchestrator.state.locations import default_uri
from nrtune.orchestrator.tracking.trackers.mlflow import FINGERPRINT_TAG


def copied(campaign: Path, to: Path) -> Path:
    """A campaign in another folder, to be changed, with its cluster given for that; Ray Tune's own files stay behind."""
    folder = Path(shutil.copytree(campaign, to, ignore=shutil.ignore_patterns("ray")))
    remember(folder, {"address": read_manifest(folder)["settings"].get("address")})
    return folder


def mlflow_runs(folder: Path, uri: str | None = None) -> tuple[list[Any], list[Any]]:
    """The parent runs and the child runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=uri or default_uri(folder))
        experiment = client.get_experiment_by_name("nrtune")
        runs = list(client.search_runs([experiment.experiment_id], max_results=1000))
    return (
        [run for run in runs if "mlflow.parentRunId" not in run.data.tags],
        [run for run in runs if "mlflow.parentRunId" in run.data.tags],
    )


def steps(folder: Path, run: Any, metric: str) -> list[int]:
    """The steps of a metric's history."""
    from mlflow.tracking import MlflowClient

    return sorted(
        m.step for m in MlflowClient(tracking_uri=default_uri(folder)).get_metric_history(run.info.run_id, metric)
    )


def check_agreement(folder: Path, families: tuple[str, ...], trials: int) -> None:
    """Ledger, Optuna and MLflow hold the same trials, each once, all ended."""
    records = open_campaign(folder).records()
    assert Counter(r.family for r in records) == dict.fromkeys(families, trials)
    fingerprints = [r.fingerprint for r in records]
    assert len(set(fingerprints)) == len(fingerprints)
    parents, children = mlflow_runs(folder)
    assert len(parents) == 1
    assert sorted(run.data.tags[FINGERPRINT_TAG] for run in children) == sorted(fingerprints)
    status = {r.fingerprint: r.status for r in records}
    for run in children:
        assert run.data.tags["nrtune.status"] == status[run.data.tags[FINGERPRINT_TAG]]
        assert run.info.status in ("FINISHED", "FAILED")
        assert run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert steps(folder, run, "val/spearman") == list(range(1, len(steps(folder, run, "val/spearman")) + 1))
    storage = open_storage(folder, None)
    for family in families:
        states = Counter(t.state.name for t in optuna.load_study(study_name=family, storage=storage).trials)
        of_family = Counter(r.status for r in records if r.family == family)
        assert states["RUNNING"] == 0
        assert (states["COMPLETE"], states["PRUNED"]) == (of_family["finished"], of_family["pruned"])
    check_decisions(folder)


def check_decisions(folder: Path) -> None:
    """Every decision of early stopping follows from the lines above it, by the rule that the file's head names."""
    if not (folder / STOPPING).exists():
        return
    head, *lines = map(json.loads, (folder / STOPPING).read_text().splitlines())
    stopping = EarlyStopping(head["grace_epochs"], head["reduction_factor"], head["rule"])
    epochs = json.loads((folder / MANIFEST).read_text())["identity"]["epochs"]
    rule = make_rule(epochs, stopping)
    left: dict[tuple[int, int], dict[str, float]] = {}  # at an epoch, in a bracket, by trial
    ended = {record.fingerprint: record for record in open_campaign(folder).records()}
    for line in lines:
        if "taken_back_after" in line:
            for (epoch, _), here in left.items():
                if epoch > line["taken_back_after"]:
                    here.pop(line["fingerprint"], None)
            continue
        here = left.setdefault((line["epoch"], line["bracket"]), {})
        others = [value for name, value in here.items() if name != line["fingerprint"] and math.isfinite(value)]
        assert line["others"] == len(others), line
        if line["threshold"] is not None:
            assert line["threshold"] == rule.threshold(others), line
            if line["shown"] < line["threshold"] and line["fingerprint"] in ended:
                record = ended[line["fingerprint"]]
                assert (record.status, record.epochs_trained) == ("pruned", line["epoch"]), line
        here[line["fingerprint"]] = line["left"]
