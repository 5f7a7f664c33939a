"""An MLflow store: its database, a campaign's own run with those of its trials, and why it can't be opened."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from nrtune.analysis.sources.mlflow import CAMPAIGN_TAG, EXPERIMENT, FINGERPRINT_TAG, KIND_TAG, STATUS_TAG, search_runs
from nrtune.analysis.sources.mlflow_client import open_client
from nrtune.orchestrator.state.locations import ARTIFACTS, DATABASE, default_uri
from nrtune.orchestrator.tracking.anchor import anchor
from nrtune.orchestrator.tracking.pages import EXPERIMENT_KIND, NOTE_TAG, campaign_note, trials_page, trials_view
from nrtune.orchestrator.tracking.trackers._mlflow_faults import what_to_do
from nrtune.orchestrator.tracking.trackers._mlflow_origin import log_datasets, origin_tags
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically

with warnings.catch_warnings():
    # MLflow's own use of SQLAlchemy and pydantic warns at import; nothing here can mend it.
    warnings.simplefilter("ignore")
    from mlflow.entities import LifecycleStage, Param, Run
    from mlflow.tracking import MlflowClient

PARENT_TAG = "mlflow.parentRunId"
SERVERS = ("http", "https", "databricks", "postgresql", "mysql", "mssql", "sqlite")
"""Kinds of tracking URI that may name a store which is away now."""


class Store(NamedTuple):
    """An open store with a campaign's run, and the runs of its trials by fingerprint."""

    client: MlflowClient
    uri: str
    experiment_id: str
    parent_id: str
    runs: Mapping[str, Run]


def check_uri(uri: str) -> None:
    """See whether MLflow can have a store at a tracking URI; nothing is asked of a server. Raises UserError where not."""
    if urlsplit(uri).scheme.partition("+")[0] in SERVERS:
        return
    try:
        open_client(uri).search_experiments(max_results=1)
    except Exception as error:  # MLflow and plug-ins of it raise many kinds
        raise UserError(f"--tracking-uri {uri}: cannot be opened ({one_line(error)})") from error


def open_store(uri: str | None, folder: Path, manifest: Mapping[str, Any], parameters: Mapping[str, Any]) -> Store:
    """Open the campaign's run and those of its trials, in the folder's own SQLite database or at a tracking URI.

    What was deleted there is made anew: runs by who writes them, the campaign's own here; a deleted experiment is restored, as
    its name stays taken. Raises UserError with what to do where it can't be opened.
    """
    local = uri in (None, default_uri(folder))
    uri = uri or default_uri(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if local:
                if not folder.is_dir():
                    raise FileNotFoundError(f"{folder} is not there any more")
                path = folder / DATABASE
                if (
                    not path.exists() or not path.stat().st_size
                ):  # SQLite makes an empty one if it opens one just removed
                    _make_database(path)
                anchor(folder, manifest)
            client = open_client(uri, folder / DATABASE if local else None)
            experiment = _experiment(client, (folder / ARTIFACTS).resolve().as_uri() if local else None)
            runs = _without_doubles(
                client, search_runs(client, experiment, f"tags.`{CAMPAIGN_TAG}` = '{manifest['id']}'")
            )
            parent = _parent(client, experiment, runs, folder, manifest, parameters)
            children = {run.data.tags[FINGERPRINT_TAG]: run for run in runs if FINGERPRINT_TAG in run.data.tags}
            for run in children.values():
                if run.data.tags.get(PARENT_TAG) != parent:  # that one was deleted
                    client.set_tag(run.info.run_id, PARENT_TAG, parent)
    except UserError:
        raise
    except Exception as error:  # MLflow, SQLAlchemy, HTTP and drivers raise many kinds
        raise UserError(f"{uri}: {what_to_do(error, uri, folder if local else None)}") from error
    return Store(client, uri, experiment, parent, children)


def page_of(uri: str, manifest: Mapping[str, Any]) -> str:
    """The path of the page of MLflow that lists the campaign's trials."""
    found = open_client(uri).get_experiment_by_name(EXPERIMENT)
    return (
        trials_page(found.experiment_id, manifest)
        if found is not None
        else "/#/experiments?workflowType=machine_learning"
    )


def log_parameters(client: MlflowClient, run: Run, parameters: Mapping[str, Any]) -> None:
    """Log a run's parameters unless it has them: a crash may have come between its making and them."""
    if not run.data.params:
        client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in parameters.items()])


def _make_database(path: Path) -> None:
    """Make an empty SQLite database whole or not at all: MLflow can't open one at whose making it was killed."""

    def make(new: Path) -> None:
        new.touch()  # with the modes that the umask leaves: SQLite makes files that a group can't write
        open_client(default_uri(new.parent, new.name)).search_experiments(max_results=1)

    write_atomically(path, make)


def _experiment(client: MlflowClient, artifact_location: str | None) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        tags = dict([EXPERIMENT_KIND])
        return str(client.create_experiment(EXPERIMENT, artifact_location=artifact_location, tags=tags))
    if found.lifecycle_stage != LifecycleStage.ACTIVE:
        client.restore_experiment(found.experiment_id)
    if EXPERIMENT_KIND[0] not in found.tags:
        client.set_experiment_tag(found.experiment_id, *EXPERIMENT_KIND)
    return str(found.experiment_id)


def _without_doubles(client: MlflowClient, runs: Iterable[Run]) -> list[Run]:
    """One run a trial, the newest: with an experiment, runs are restored that were deleted and made anew before."""
    kept: dict[str | None, Run] = {}
    for run in sorted(runs, key=lambda run: run.info.start_time):
        key = run.data.tags.get(FINGERPRINT_TAG)  # the campaign's own has none
        if key in kept:
            client.delete_run(kept[key].info.run_id)
        kept[key] = run
    return list(kept.values())


def _parent(
    client: MlflowClient,
    experiment_id: str,
    runs: list[Run],
    folder: Path,
    manifest: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> str:
    """The campaign's own run, made now if there is none."""
    run = next((run for run in runs if run.data.tags.get(KIND_TAG) == "campaign"), None)
    if run is not None:
        client.update_run(run.info.run_id, status="RUNNING")
        client.set_tag(run.info.run_id, STATUS_TAG, "running")
        client.set_tag(run.info.run_id, NOTE_TAG, campaign_note(folder))  # the folder may have been moved
    else:
        tags = {CAMPAIGN_TAG: manifest["id"], KIND_TAG: "campaign", STATUS_TAG: "running"}
        tags |= {NOTE_TAG: campaign_note(folder), **origin_tags(manifest)}
        run = client.create_run(experiment_id, tags=tags, run_name=manifest["name"])
        client.set_experiment_tag(experiment_id, *trials_view(manifest))
    log_parameters(client, run, parameters)
    log_datasets(client, run, manifest)
    return str(run.info.run_id)
