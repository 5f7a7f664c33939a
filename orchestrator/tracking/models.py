"""Trained trials, and ensembles of them, as MLflow models: each carries its checkpoint, its code and what it needs."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from nrtune.analysis.sources.mlflow import FINGERPRINT_TAG
from nrtune.analysis.sources.mlflow_client import calling

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in tracking.py
    import mlflow
    from mlflow.entities import LoggedModelStatus, Run
    from mlflow.models import Model, ModelSignature
    from mlflow.tracking import MlflowClient
    from mlflow.tracking._tracking_service import utils as tracking_service
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

MODEL_TYPE = "nrtune"
NEEDED = ("torch", "numpy", "pandas", "pyarrow", "jaxtyping", "mlflow")
"""What a logged model needs where it is loaded, in the versions that are installed here."""

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


def log_model(client: MlflowClient, uri: str, run_id: str, checkpoint: Path, length: int) -> str:
    """Log a trial's best.pt as the model of its run, once; returns its URI.

    The model carries the code that it needs; `length`: bases of a sequence.
    """
    run = client.get_run(run_id)
    return logged_model(client, run.info.experiment_id, run_id) or _log(
        client,
        uri,
        run,
        checkpoint,
        length,
        name=str(run.info.run_name),
        tags={FINGERPRINT_TAG: run.data.tags[FINGERPRINT_TAG]},
    )


def log_ensemble(client: MlflowClient, uri: str, run_id: str, file: Path, length: int, name: str) -> str:
    """Log what `nrtune ensemble --save` wrote as a model of its campaign's run, each file once; returns its URI."""
    run = client.get_run(run_id)
    tags = {ENSEMBLE_TAG: hashlib.sha256(file.read_bytes()).hexdigest()}
    return logged_model(client, run.info.experiment_id, run_id, tags) or _log(
        client, uri, run, file, length, name=name, tags=tags
    )


def _log(
    client: MlflowClient, uri: str, run: Run, checkpoint: Path, length: int, *, name: str, tags: Mapping[str, str]
) -> str:
    made = client.create_logged_model(
        run.info.experiment_id,
        name=re.sub(r"[^\w-]", "_", name),
        source_run_id=run.info.run_id,
        model_type=MODEL_TYPE,
        params=dict(run.data.params),
        tags={**tags, OUTPUT_TAG: CALIBRATED},
    )
    with _whole_or_not_at_all(client, made.model_id), writing_to(uri), _code() as code:
        logged = Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            run_id=run.info.run_id,
            model_id=made.model_id,
            python_model=_source("nrtune.orchestrator.tracking.pyfunc_model"),
            artifacts={"checkpoint": str(checkpoint)},
            code_paths=[code],
            signature=SIGNATURE,
            input_example=pd.DataFrame({"sequence": ["ACGT" * (length // 4) + "ACGT"[: length % 4]]}),
            pip_requirements=[f"{name}=={_version(name)}" for name in NEEDED],
        )
    return str(logged.model_uri)


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


@contextlib.contextmanager
def _code() -> Iterator[str]:
    """A folder `nrtune` with what a model's code imports, for as long as it takes to copy it."""
    with tempfile.TemporaryDirectory(prefix="nrtune-model-") as folder:
        package = Path(folder) / "nrtune"
        trainables = Path(_source("nrtune.trainables")).parent
        shutil.copytree(trainables, package / "trainables", ignore=shutil.ignore_patterns("__pycache__"))
        (package / "__init__.py").touch()
        yield str(package)


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
