"""A campaign's trials as MLflow has them: for readers who reach the tracking server, not the campaign's folder."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from nrtune.analysis.sources.mlflow_client import open_client
from nrtune.analysis.sources.mlflow_local import check_is_there, to_read
from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.store.records import STATUSES, TrialRecord
from nrtune.trainables.core.errors import UserError, one_line, suggest
from nrtune.trainables.core.inside import inside

with warnings.catch_warnings():
    # MLflow's own use of SQLAlchemy and pydantic warns at import; nothing here can mend it.
    warnings.simplefilter("ignore")
    from mlflow.entities import Run
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

EXPERIMENT = "nrtune"
CAMPAIGN_TAG, FINGERPRINT_TAG, STATUS_TAG, KIND_TAG = (
    "nrtune.campaign",
    "nrtune.fingerprint",
    "nrtune.status",
    "nrtune.kind",
)
RECORD_TAG = "nrtune.record"
"""What of a trial's record is neither parameter nor metric nor another tag, as JSON."""

IN_RECORD_TAG = (
    *("number", "epochs_trained", "seconds", "started", "ended", "published", "aliases", "replicate_of"),
    *("attempts", "micro_batches", "cpu_seconds", "gpu_seconds"),
)
FINAL = "best_"
"""Begins the names of validation metrics of the best epoch: `val/…` itself is a curve."""

REFERENCE = "reference/"
"""Begins the names of the non-neural baselines' metrics, on the campaign's own run."""

_PAGE = 1000
T = TypeVar("T")


class MlflowTrials(RecordedTrials):
    """Trials read from MLflow; their predictions are fetched when they are asked for."""

    def __init__(self, client: MlflowClient, parent: Run, runs: Sequence[Run]) -> None:
        ended = [run for run in runs if run.data.tags.get(STATUS_TAG) in STATUSES]
        ended.sort(key=lambda run: run.info.start_time)
        parameters = parent.data.params
        super().__init__(
            parent.info.run_name,
            parameters["select_on"],
            list(map(_record, ended)),
            _references(parent),
            matched=[name for name in parameters.get("matched", "").split(",") if name],
            objectives=[name for name in parameters.get("objective", "").split(",") if name],
            encoders=[name for name in parameters.get("encoders", "").split(",") if name],
        )
        self._client = client
        self._run_of = {run.data.tags[FINGERPRINT_TAG]: run.info.run_id for run in ended}
        self._place_of = {run.data.tags[FINGERPRINT_TAG]: str(run.info.artifact_uri) for run in ended}

    @functools.cached_property
    def _fetched(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="nrtune-"))
        # Not a TemporaryDirectory: that warns where it is left to the garbage collector, as this object is.
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def file(self, fingerprint: str, name: str) -> Path | None:
        """A trial's artifact, fetched into a temporary folder that lasts as long as this object."""
        folder = inside(self._fetched, fingerprint)  # which is what a server says it is
        if not (folder / name).exists():
            run = self._run_of[fingerprint]
            self._check_place(self._place_of[fingerprint])
            try:
                if all(artifact.path != name for artifact in self._client.list_artifacts(run)):
                    return None
                folder.mkdir(exist_ok=True)
                self._client.download_artifacts(run, name, str(folder))
            except (MlflowException, OSError) as error:
                raise UserError(f"MLflow does not give {name} of run {run}: {one_line(error)}") from error
        return folder / name

    def _check_place(self, place: str) -> None:
        """See that a database, which anybody may have made, names no server of files: MLflow would send the login there."""
        if not place.startswith(("http:", "https:", "mlflow-artifacts:")):
            return
        if not self._client.tracking_uri.startswith(("http:", "https:", "databricks")):
            raise UserError(
                f"{self.name}: a database names {place} for its files; give the URI of the server that it belongs to"
            )


def open_mlflow(uri: str, campaign: str = "") -> MlflowTrials:
    """Open the campaign of that name or id at a tracking URI; "" for the only one there.

    Raises UserError where there is none, or where there are several to choose from.
    """
    return _read(uri, campaign, lambda client, parent, runs: MlflowTrials(client, parent, list(runs)))


def read_runs(uri: str, campaign: str = "") -> tuple[Run, list[Run]]:
    """The run of a campaign itself, and those of its trials, whatever their state. Raises UserError as `open_mlflow` does."""
    return _read(uri, campaign, lambda client, parent, children: (parent, list(children)))


def _read(uri: str, campaign: str, use: Callable[[MlflowClient, Run, Iterator[Run]], T]) -> T:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_is_there(uri)
            place, copied = to_read(uri)
            client = open_client(place)
            if copied is not None:
                weakref.finalize(client, shutil.rmtree, copied, ignore_errors=True)
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                raise UserError(f"{uri}: MLflow has no nrtune campaign there")
            parents = list(search_runs(client, experiment.experiment_id, f"tags.`{KIND_TAG}` = 'campaign'"))
            parent = _chosen(uri, parents, campaign)
            query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
            return use(client, parent, search_runs(client, experiment.experiment_id, query))
    except UserError:
        raise
    except Exception as error:  # MLflow, SQLAlchemy, HTTP and drivers raise many kinds
        raise UserError(f"{uri}: MLflow can't be read ({one_line(error)})") from error


def _chosen(uri: str, parents: list[Run], campaign: str) -> Run:
    found = [run for run in parents if campaign in ("", run.info.run_name, run.data.tags[CAMPAIGN_TAG])]
    if len(found) == 1:
        return found[0]
    if not parents:
        raise UserError(f"{uri}: MLflow has no nrtune campaign there")
    names = [f"{run.info.run_name} ({run.data.tags[CAMPAIGN_TAG]})" for run in parents]
    if found:
        raise UserError(f"{uri}: holds several campaigns; add #ID of one of: {', '.join(names)}")
    raise UserError(f"{uri}: holds no campaign {campaign!r}{suggest(campaign, names)}")


def search_runs(client: MlflowClient, experiment_id: str, query: str) -> Iterator[Run]:
    """Every run of an experiment that a query finds, however many."""
    token = None
    while True:
        page = client.search_runs([experiment_id], query, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _record(run: Run) -> TrialRecord:
    tags = run.data.tags
    if RECORD_TAG not in tags:
        raise UserError(f"run {run.info.run_name} was written by another version of nrtune")
    metrics = {}
    for name, value in run.data.metrics.items():
        if name.startswith(FINAL) and name != "best_epoch":
            metrics[name.removeprefix(FINAL)] = value
        elif ("/" in name and not name.startswith(("val/", "train/"))) or name == "best_epoch":
            metrics[name] = value
    return TrialRecord.from_flat(
        name=run.info.run_name,
        family=tags["family"],
        fingerprint=tags[FINGERPRINT_TAG],
        status=tags[STATUS_TAG],
        config={name: _value(text) for name, text in run.data.params.items()},
        metrics=metrics,
        failure_class=tags.get("failure_class"),
        failure=tags.get("failure"),
        **json.loads(tags[RECORD_TAG]),
    )


def _value(text: str) -> Any:
    """A parameter, of which MLflow keeps the text alone."""
    constants = {"True": True, "False": False, "None": None}
    if text in constants:
        return constants[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _references(parent: Run) -> dict[str, Mapping[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, value in parent.data.metrics.items():
        if name.startswith(REFERENCE):
            line, _, metric = name.removeprefix(REFERENCE).partition("/")
            found.setdefault(line, {})[metric] = value
    return dict(found)
