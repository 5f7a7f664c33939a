"""Trained trials, and ensembles of them, as MLflow models: each carries its checkpoint, its code and what it needs.

A model is made here and stored in few requests: MLflow's own log_model asks for the history of each metric, one by one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from nrtune.analysis.sources.mlflow import FINGERPRINT_TAG
from nrtune.analysis.sources.mlflow_client import calling

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in tracking.py
    import mlflow
    from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Run
    from mlflow.models import Model, ModelSignature
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.tracking import MlflowClient
    from mlflow.tracking._tracking_service import utils as tracking_service
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

MODEL_TYPE = "nrtune"
NEEDED = ("torch", "numpy", "pandas", "pyarrow", "jaxtyping", "mlflow")
"""What a logged model needs where it is loaded, in the versions that are installed here."""

CODE = "code.zip"

VARIABLE = "MLFLOW_TRACKING_URI"

SIGNATURE = ModelSignature(
    Schema([ColSpec("string", "sequence")]),
    Schema([ColSpec("double", "prediction"), ColSpec("float", "log_variance", required=False)]),
    ParamSchema([ParamSpec("raw", "boolean", False)]),
)

ENSEMBLE_TAG = "nrtune.ensemble"
"""The SHA-256 of the file that a logged ensemble is."""

OUTPUT_TAG = "nrtune.output"
CALIBRATED = "log2(RNA/DNA)"
UNCALIBRATED = "the model's own output, not log2(RNA/DNA): it was logged before models were calibrated"
"""What a logged model predicts, unless it is called with raw=True."""


def log_model(
    client: MlflowClient, uri: str, run: Run, checkpoint: Path, length: int, parameters: Mapping[str, str] | None = None
) -> str:
    """Log a trial's best.pt as the model of its run, once; returns its URI.

    The model carries the code that it needs; `length`: bases of a sequence. parameters: of a run that was made a moment ago, and
    has no model; None for those that it was found with.
    """
    there = None if parameters is not None else logged_model(client, run.info.experiment_id, run.info.run_id)
    return there or _log(
        client,
        uri,
        run,
        checkpoint,
        length,
        name=str(run.info.run_name),
        tags={FINGERPRINT_TAG: run.data.tags[FINGERPRINT_TAG]},
        parameters=run.data.params if parameters is None else parameters,
    )


def log_ensemble(client: MlflowClient, uri: str, run_id: str, file: Path, length: int, name: str) -> str:
    """Log what `nrtune ensemble --save` wrote as a model of its campaign's run, each file once; returns its URI."""
    run = client.get_run(run_id)
    tags = {ENSEMBLE_TAG: hashlib.sha256(file.read_bytes()).hexdigest()}
    return logged_model(client, run.info.experiment_id, run_id, tags) or _log(
        client, uri, run, file, length, name=name, tags=tags, parameters=run.data.params
    )


def artifacts_at(uri: str, location: str) -> ArtifactRepository:
    """Where a tracking store keeps the files of one run or model; nothing is asked of it, as MLflow's client would."""
    return get_artifact_repository(add_databricks_profile_info_to_artifact_uri(location, uri), tracking_uri=uri)


def _log(
    client: MlflowClient,
    uri: str,
    run: Run,
    checkpoint: Path,
    length: int,
    *,
    name: str,
    tags: Mapping[str, str],
    parameters: Mapping[str, str],
) -> str:
    made = client.create_logged_model(
        run.info.experiment_id,
        name=re.sub(r"[^\w-]", "_", name),
        source_run_id=run.info.run_id,
        model_type=MODEL_TYPE,
        params=dict(parameters),
        tags={**tags, OUTPUT_TAG: CALIBRATED},
    )
    with _whole_or_not_at_all(client, made.model_id), tempfile.TemporaryDirectory(prefix="nrtune-model-") as folder:
        client.log_outputs(run.info.run_id, [LoggedModelOutput(made.model_id, step=0)])
        with calling(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _save(Path(folder), made, run.info.run_id, checkpoint, length)
            artifacts_at(uri, made.artifact_location).log_artifacts(str(Path(folder) / "model"))
        client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    return str(made.model_uri)


def _save(folder: Path, made: LoggedModel, run_id: str, checkpoint: Path, length: int) -> None:
    """Write a model's files into `model` in a folder."""
    code = folder / CODE
    _pack_code(code)
    mlflow.pyfunc.save_model(
        folder / "model",
        mlflow_model=Model(
            artifact_path=made.artifact_location, model_uuid=made.model_id, model_id=made.model_id, run_id=run_id
        ),
        python_model=_source("nrtune.orchestrator.tracking.pyfunc_model"),
        artifacts={"checkpoint": str(checkpoint), "code": str(code)},
        signature=SIGNATURE,
        input_example=pd.DataFrame({"sequence": ["ACGT" * (length // 4) + "ACGT"[: length % 4]]}),
        pip_requirements=[f"{name}=={_version(name)}" for name in NEEDED],
    )


def logged_model(
    client: MlflowClient, experiment_id: str, run_id: str, tags: Mapping[str, str] = MappingProxyType({})
) -> str | None:
    """The URI of the model that a run has, whole; of several, of the one with these tags."""
    found = client.search_logged_models([experiment_id], filter_string=f"source_run_id = '{run_id}'")
    ready = (model for model in found if model.status == LoggedModelStatus.READY)
    return next((str(model.model_uri) for model in ready if tags.items() <= model.tags.items()), None)


def output_of(client: MlflowClient, model_uri: str) -> str:
    """What a logged model predicts, CALIBRATED or UNCALIBRATED."""
    tags = client.get_logged_model(model_uri.removeprefix("models:/")).tags
    return str(tags.get(OUTPUT_TAG, UNCALIBRATED))


@contextlib.contextmanager
def _whole_or_not_at_all(client: MlflowClient, model_id: str) -> Iterator[None]:
    """A model whose files can't be stored leaves no empty one behind."""
    try:
        yield
    except Exception:
        client.delete_logged_model(model_id)
        raise


def _pack_code(to: Path) -> None:
    """What a model's code imports, as one file: each would be a request more. Python imports from it as it is."""
    trainables = Path(_source("nrtune.trainables")).parent
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nrtune/__init__.py", "")
        for path in sorted(trainables.rglob("*.py")):
            archive.write(path, Path("nrtune", "trainables", path.relative_to(trainables)))


def _source(module: str) -> str:
    """The file of a module, which is not imported."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    return str(spec.origin)


def _version(package: str) -> str:
    """Without the local part: an index has no torch 2.13.0+cpu."""
    return importlib.metadata.version(package).partition("+")[0]


@contextlib.contextmanager
def writing_to(uri: str) -> Iterator[None]:
    """MLflow's own functions read and write where a global says, which is put back with the variable that it sets as well."""
    before, variable = tracking_service._tracking_uri, os.environ.get(VARIABLE)
    with calling(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_tracking_uri(uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)
            if variable is None:
                os.environ.pop(VARIABLE, None)
            else:
                os.environ[VARIABLE] = variable
