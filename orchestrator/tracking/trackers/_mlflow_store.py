"""An MLflow store: whether it answers, its database, and a campaign's own run with those of its trials."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nrtune.analysis.sources.mlflow import CAMPAIGN_TAG, EXPERIMENT, FINGERPRINT_TAG, KIND_TAG, STATUS_TAG, search_runs
from nrtune.orchestrator.state.locations import DATABASE, default_uri
from nrtune.orchestrator.tracking.pages import NOTE_TAG, campaign_note, trials_page, trials_view
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically

with warnings.catch_warnings():
    # MLflow's own use of SQLAlchemy and pydantic warns at import; nothing here can mend it.
    warnings.simplefilter("ignore")
    from mlflow.entities import Param, Run
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

ARTIFACTS = "artifacts"


class Store(NamedTuple):
    """An open store with a campaign's run, and the runs of its trials by fingerprint."""

    client: MlflowClient
    uri: str
    experiment_id: str
    parent_id: str
    runs: Mapping[str, Run]


def check_uri(uri: str) -> None:
    """See whether an MLflow store answers at a tracking URI. Raises UserError where none does."""
    if uri.startswith(("http://", "https://")):
        # MLflow itself would try again for minutes.
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
                return
        except urllib.error.HTTPError:  # something answers, and may want a login that MLflow has
            return
        except (OSError, ValueError) as error:
            raise UserError(f"--tracking-uri {uri}: no MLflow server answers ({error})") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
    except Exception as error:  # MLflow, SQLAlchemy and drivers raise many kinds
        raise UserError(f"--tracking-uri {uri}: cannot be opened ({one_line(error)})") from error


def open_store(uri: str | None, folder: Path, manifest: Mapping[str, Any], parameters: Mapping[str, Any]) -> Store:
    """Open the campaign's run and those of its trials, in the folder's own SQLite database or at a tracking URI."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    local = uri in (None, default_uri(folder))
    uri = uri or default_uri(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if local and not (folder / DATABASE).exists():
                _make_database(folder / DATABASE)
            client = MlflowClient(tracking_uri=uri)
            experiment = _experiment(client, (folder / ARTIFACTS).resolve().as_uri() if local else None)
            parent = _parent(client, experiment, folder, manifest, parameters)
            children = search_runs(client, experiment, f"tags.`mlflow.parentRunId` = '{parent}'")
            runs = {run.data.tags[FINGERPRINT_TAG]: run for run in children}
    except MlflowException as error:
        raise UserError(f"--tracking-uri {uri}: {one_line(error, 300)}") from error
    return Store(client, uri, experiment, parent, runs)


def page_of(uri: str, manifest: Mapping[str, Any]) -> str:
    """The path of the page of MLflow that lists the campaign's trials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = MlflowClient(tracking_uri=uri).get_experiment_by_name(EXPERIMENT)
    return trials_page(found.experiment_id, manifest) if found is not None else "/"


def log_parameters(client: MlflowClient, run: Run, parameters: Mapping[str, Any]) -> None:
    """Log a run's parameters unless it has them: a crash may have come between its making and them."""
    if not run.data.params:
        client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in parameters.items()])


def _make_database(path: Path) -> None:
    """Make an empty SQLite database whole or not at all: MLflow can't open one at whose making it was killed."""
    write_atomically(path, lambda new: MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1))


def _experiment(client: MlflowClient, artifact_location: str | None) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(EXPERIMENT, artifact_location=artifact_location))


def _parent(
    client: MlflowClient,
    experiment_id: str,
    folder: Path,
    manifest: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> str:
    """The campaign's own run, made now if there is none."""
    query = f"tags.`{CAMPAIGN_TAG}` = '{manifest['id']}' and tags.`{KIND_TAG}` = 'campaign'"
    found = client.search_runs([experiment_id], filter_string=query, max_results=1)
    if found:
        run = found[0]
        client.update_run(run.info.run_id, status="RUNNING")
        client.set_tag(run.info.run_id, STATUS_TAG, "running")
    else:
        tags = {CAMPAIGN_TAG: manifest["id"], KIND_TAG: "campaign", STATUS_TAG: "running"}
        tags[NOTE_TAG] = campaign_note(folder)
        run = client.create_run(experiment_id, tags=tags, run_name=manifest["name"])
        client.set_experiment_tag(experiment_id, *trials_view(manifest))
    log_parameters(client, run, parameters)
    return str(run.info.run_id)
