"""MLflow: a parent run a campaign, a child run a trial, written by the driver alone, in batches, each value once."""

from __future__ import annotations

import datetime
import json
import math
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from nrtune.analysis.sources.mlflow import (
    CAMPAIGN_TAG,
    FINAL,
    FINGERPRINT_TAG,
    IN_RECORD_TAG,
    RECORD_TAG,
    REFERENCE,
    STATUS_TAG,
)
from nrtune.analysis.sources.mlflow_client import ReplacedError, calling
from nrtune.analysis.store.records import FAILED, FINISHED, PRUNED, SCORED, Proposal, TrialRecord
from nrtune.orchestrator.search.proposals import ObjectiveValues
from nrtune.orchestrator.tracking.models import artifacts_at, log_model
from nrtune.orchestrator.tracking.pages import NOTE_TAG, trial_note
from nrtune.orchestrator.tracking.publisher import reason_of
from nrtune.orchestrator.tracking.tracker import Tracker
from nrtune.orchestrator.tracking.trackers._mlflow_origin import log_datasets, origin_tags
from nrtune.orchestrator.tracking.trackers._mlflow_store import Store, check_uri, log_parameters, open_store

with warnings.catch_warnings():
    # MLflow's own use of SQLAlchemy and pydantic warns at import; nothing here can mend it.
    warnings.simplefilter("ignore")
    from mlflow.entities import Metric, RunTag

BATCH = 900
"""Metrics a call: MLflow takes at most 1000."""

FILES_TAG, MISSING = "nrtune.files", "missing"
"""Tags a run that is otherwise as it should be, but whose files could not be stored."""

FILES_SECONDS = 120.0
"""Files are not tried for so long after they could not be stored: a try may take minutes."""

_RUN_STATUS = {FINISHED: "FINISHED", SCORED: "FINISHED", PRUNED: "FINISHED"}


class MlflowTracker(Tracker):
    """The MLflow side of one campaign."""

    def __init__(self, store: Store, manifest: Mapping[str, Any]) -> None:
        self.client, self.experiment_id, self.parent_id = store.client, store.experiment_id, store.parent_id
        self._campaign, self._name = str(manifest["id"]), str(manifest["name"])
        self._uri, self._length = store.uri, int(manifest.get("data", {}).get("length", 0))
        self._manifest, self._origin = manifest, origin_tags(manifest)
        self._runs = dict(store.runs)
        self._logged: dict[str, set[int]] = {}
        self._made: dict[str, dict[str, str]] = {}  # parameters of runs that were made by this, and have no model yet
        self._with_files = set(self._runs)  # or maybe with some
        self._no_files, self._no_files_since = "", 0.0  # why files can't be stored
        # The tag is written first, the end of the run last: a crash between them leaves a run that is still open.
        ended = {FINISHED, SCORED, PRUNED, FAILED}
        self._closed = {
            fingerprint
            for fingerprint, run in self._runs.items()
            if run.data.tags.get(STATUS_TAG) in ended and run.info.status != "RUNNING"
        }
        self.without_files: dict[str, str] = {
            fingerprint: "they could not be stored before"
            for fingerprint, run in self._runs.items()
            if run.data.tags.get(FILES_TAG) == MISSING
        }
        self._failed = {name for name in self._closed if self._runs[name].data.tags[STATUS_TAG] == FAILED}

    @classmethod
    def check(cls, uri: str) -> None:
        """See whether MLflow can have a store at a tracking URI; nothing is asked of a server. Raises UserError where not."""
        check_uri(uri)

    @classmethod
    def open(cls, uri: str | None, folder: Path, manifest: Mapping[str, Any], parameters: Mapping[str, Any]) -> Self:
        """Open the campaign's run and those of its trials, in the folder's own SQLite database or at a tracking URI."""
        return cls(open_store(uri, folder, manifest, parameters), manifest)

    def start(self, proposal: Proposal, tags: Mapping[str, str]) -> None:
        """Open the trial's run, or take up the one it had before an interruption; one that had failed is begun anew."""
        if proposal.fingerprint in self._failed:  # and is tried again: its curve is another attempt's
            self._failed.discard(proposal.fingerprint)
            self._closed.discard(proposal.fingerprint)
            self.client.delete_run(self._runs.pop(proposal.fingerprint).info.run_id)
        if self.is_closed(proposal.fingerprint):
            return
        run = self._runs.get(proposal.fingerprint)
        if run is None:
            all_tags = {
                **tags,
                "mlflow.parentRunId": self.parent_id,
                "mlflow.runName": proposal.name,
                CAMPAIGN_TAG: self._campaign,
                FINGERPRINT_TAG: proposal.fingerprint,
                STATUS_TAG: "running",
                "family": proposal.family,
                NOTE_TAG: trial_note(proposal, self._name),
                **self._origin,
            }
            if proposal.published:
                all_tags["published"] = proposal.published
            if proposal.aliases:
                all_tags["also_published"] = ", ".join(proposal.aliases)
            if proposal.replicate_of:
                all_tags["replicate_of"] = proposal.replicate_of
            run = self.client.create_run(self.experiment_id, tags=all_tags, run_name=proposal.name)
            self._runs[proposal.fingerprint] = run
            self._logged[proposal.fingerprint] = set()
            self._made[proposal.fingerprint] = {key: str(value) for key, value in proposal.config.items()}
            self._with_files.discard(proposal.fingerprint)
        else:
            self.client.update_run(run.info.run_id, status="RUNNING")
            self.client.set_tag(run.info.run_id, STATUS_TAG, "running")
        log_parameters(self.client, run, proposal.config)
        log_datasets(self.client, run, self._manifest)

    def log_history(self, fingerprint: str, history: Iterable[Mapping[str, float]]) -> None:
        """Log epochs' metrics, each with its `epoch` as the step; epochs that are there already are skipped."""
        missing = self._missing(fingerprint, history)
        self._log(self._runs[fingerprint].info.run_id, _curves(missing))
        self._steps(fingerprint).update(missing)

    def finish(
        self,
        record: TrialRecord,
        history: Iterable[Mapping[str, float]],
        artifacts: Sequence[Path],
        objective: ObjectiveValues | None,
    ) -> None:
        """Write what is missing of a trial's epochs, its final metrics, its tags, then its artifacts, and close its run.

        Artifacts may lie elsewhere than all else: where they can't be stored, the run is closed without them. objective: shown
        under that name; of several each is a metric of its own already.
        """
        run_id = self._runs[record.fingerprint].info.run_id
        missing = self._missing(record.fingerprint, history)
        # The trial's own time: written again after a crash, MLflow knows the same value for the same.
        timestamp = int(datetime.datetime.fromisoformat(record.ended).timestamp() * 1000)
        # val/… of the best epoch would come after the curve's own last point: final values have their own names.
        final = {f"{FINAL}{key}" if key.startswith("val/") else key: value for key, value in record.metrics.items()}
        if isinstance(objective, float):
            final["objective"] = objective
        rest = json.dumps({name: getattr(record, name) for name in IN_RECORD_TAG})
        tags = {STATUS_TAG: record.status, RECORD_TAG: rest}
        if record.failure_class:
            tags |= {"failure_class": record.failure_class, "failure": (record.failure or "")[:500]}
        ends = [Metric(key, value, timestamp, record.epochs_trained) for key, value in final.items()]
        self._log(run_id, [*_curves(missing), *ends], tags)
        self._steps(record.fingerprint).update(missing)
        self.store_files(record.fingerprint, artifacts)
        self.client.set_terminated(run_id, status=_RUN_STATUS.get(record.status, "FAILED"))
        self._closed.add(record.fingerprint)

    def store_files(self, fingerprint: str, artifacts: Sequence[Path]) -> None:
        """Store a run's artifacts; once that has failed, the runs that follow are tagged as being without theirs for a while."""
        info = self._runs[fingerprint].info
        run_id = info.run_id
        if time.monotonic() - self._no_files_since > FILES_SECONDS:
            self._no_files = ""
        if not self._no_files and artifacts:
            try:
                with calling():
                    store = artifacts_at(self._uri, info.artifact_uri)
                    there = {file.path for file in store.list_artifacts()} if fingerprint in self._with_files else set()
                    self._with_files.add(fingerprint)
                    for path in artifacts:
                        if path.exists() and path.name not in there:
                            store.log_artifact(str(path))
            except ReplacedError:
                raise
            except Exception as error:  # each kind of artifact store has errors of its own
                self._cannot_store(run_id, error)
        if self._no_files:
            self.client.set_tag(run_id, FILES_TAG, MISSING)
            self.without_files[fingerprint] = self._no_files
        elif self.without_files.pop(fingerprint, None) is not None:
            self.client.delete_tag(run_id, FILES_TAG)

    def log_model(self, fingerprint: str, path: Path) -> None:
        """Log the checkpoint of a trial that is kept as its run's model, once."""
        run = self._runs[fingerprint]
        if not self._no_files:
            try:
                log_model(self.client, self._uri, run, path, self._length, self._made.get(fingerprint))
                self._made.pop(fingerprint, None)
            except ReplacedError:
                raise
            except Exception as error:
                self._cannot_store(run.info.run_id, error)
        if self._no_files:
            self.without_files[fingerprint] = self._no_files

    def _cannot_store(self, run_id: str, error: Exception) -> None:
        """Note why; raises where it is the run that can't be written, and not its artifacts."""
        run = self.client.get_run(run_id)
        if run.info.lifecycle_stage != "active":
            raise error
        where = run.info.artifact_uri
        self._no_files_since = time.monotonic()
        self._no_files = f"{where.rpartition('/' + run_id)[0] or where}: {reason_of(error)}"

    def log_references(self, references: Mapping[str, Mapping[str, float]]) -> None:
        """Log the metrics of non-neural baselines, by name, onto the campaign's own run; what it has already is skipped."""
        found = {f"{REFERENCE}{line}/{name}": value for line, of in references.items() for name, value in of.items()}
        logged = self.client.get_run(self.parent_id).data.metrics
        timestamp = int(time.time() * 1000)
        missing = [Metric(key, value, timestamp, 0) for key, value in found.items() if key not in logged]
        self._log(self.parent_id, missing)

    def has_run(self, fingerprint: str) -> bool:
        """Whether the trial has a run, open or closed."""
        return fingerprint in self._runs

    def is_closed(self, fingerprint: str) -> bool:
        """Whether the trial's run was closed with its end written."""
        return fingerprint in self._closed

    def interrupt(self, fingerprints: Iterable[str]) -> None:
        """Mark runs whose trials were interrupted: they are not running, and will be taken up again."""
        for fingerprint in fingerprints:
            if fingerprint in self._runs and not self.is_closed(fingerprint):
                run_id = self._runs[fingerprint].info.run_id
                self.client.set_tag(run_id, STATUS_TAG, "interrupted")
                self.client.set_terminated(run_id, status="KILLED")

    def unfinished(self) -> list[str]:
        """Fingerprints of runs that MLflow still shows as running, as this tracker found them at its start."""
        return [fingerprint for fingerprint, run in self._runs.items() if run.info.status == "RUNNING"]

    def close(self, state: str, summary: Mapping[str, float]) -> None:
        """Close the parent run: state finished or interrupted, and counts of trials by status."""
        self._log(self.parent_id, [Metric(k, v, int(time.time() * 1000), 0) for k, v in summary.items()])
        self.client.set_tag(self.parent_id, STATUS_TAG, state)
        self.client.set_terminated(self.parent_id, status="FINISHED" if state == "finished" else "KILLED")

    def _steps(self, fingerprint: str) -> set[int]:
        """The epochs whose metrics the trial's run has."""
        if fingerprint not in self._logged:
            history = self.client.get_metric_history(self._runs[fingerprint].info.run_id, "train/loss")
            self._logged[fingerprint] = {metric.step for metric in history}
        return self._logged[fingerprint]

    def _missing(self, fingerprint: str, history: Iterable[Mapping[str, float]]) -> dict[int, Mapping[str, float]]:
        """The epochs whose metrics the trial's run does not have."""
        logged = self._steps(fingerprint)
        return {int(entry["epoch"]): entry for entry in history if int(entry["epoch"]) not in logged}

    def _log(self, run_id: str, metrics: Sequence[Metric], tags: Mapping[str, str] | None = None) -> None:
        """Log metrics in few calls, tags with the last of them."""
        batches = [metrics[start : start + BATCH] for start in range(0, len(metrics), BATCH)]
        for batch in batches[:-1]:
            self.client.log_batch(run_id, metrics=batch)
        if metrics or tags:
            last = [RunTag(key, value) for key, value in (tags or {}).items()]
            self.client.log_batch(run_id, metrics=batches[-1] if batches else (), tags=last)


def _curves(epochs: Mapping[int, Mapping[str, float]]) -> list[Metric]:
    timestamp = int(time.time() * 1000)
    return [
        Metric(key, float(value), timestamp, epoch)
        for epoch, entry in epochs.items()
        for key, value in entry.items()
        if key != "epoch" and math.isfinite(value)
    ]
