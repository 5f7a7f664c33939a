"""Where a run is from, in MLflow's own terms: who made it with what, and the data that went into it."""

from __future__ import annotations

import getpass
import json
import warnings
from collections.abc import Mapping
from typing import Any

from nrtune.analysis.store.records import benchmarks_of

with warnings.catch_warnings():
    # MLflow's own use of SQLAlchemy and pydantic warns at import; nothing here can mend it.
    warnings.simplefilter("ignore")
    from mlflow.entities import Dataset, DatasetInput, InputTag, Run
    from mlflow.tracking import MlflowClient

DIGEST_LENGTH = 36
"""MLflow keeps no more of a digest; the run's parameters have all of it."""

TRAINING, EVALUATION = "training", "evaluation"


def origin_tags(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The tags by which MLflow shows a run's user, source and git commit, the latter two as the manifest has them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        user = "unknown"
    command = manifest["identity"].get("command", "")
    tags = {"mlflow.user": user, "mlflow.source.name": f"nrtune {command}".strip(), "mlflow.source.type": "LOCAL"}
    commit = manifest.get("software", {}).get("git commit")
    return tags if commit is None else {**tags, "mlflow.source.git.commit": commit.removesuffix("+")}


def log_datasets(client: MlflowClient, run: Run, manifest: Mapping[str, Any]) -> None:
    """Log the campaign's data as a run's inputs, unless it has them: a crash may have come between its making and them."""
    if (run.inputs is None or not run.inputs.dataset_inputs) and (inputs := datasets_of(manifest)):
        client.log_inputs(run.info.run_id, datasets=inputs)


def datasets_of(manifest: Mapping[str, Any]) -> list[DatasetInput]:
    """What trials are trained on and the benchmarks that they are scored on, with digests, as far as the manifest has them."""
    identity, found = manifest["identity"], []
    for name, context in (("data", TRAINING), *((name, EVALUATION) for name in benchmarks_of(manifest))):
        entry, digest = manifest.get(name) or {}, identity.get(name)
        if digest:
            rows = {split: entry[split] for split in ("train", "val", "test") if split in entry}
            dataset = Dataset(
                name=str(entry.get("name") or entry.get("title") or name),
                digest=str(digest)[:DIGEST_LENGTH],
                source_type="local",
                source=json.dumps({"uri": str(entry.get("path", ""))}),
                profile=json.dumps(rows) if rows else None,
            )
            found.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    return found
