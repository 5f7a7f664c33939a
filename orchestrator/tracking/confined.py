"""MLflow's own pages over a campaign, in this process: artifacts of the campaign alone, and requests that read.

Whose artifacts lie where is written in a database that may have come with a folder from anywhere.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nrtune.analysis.sources.mlflow import EXPERIMENT
from nrtune.analysis.sources.mlflow_client import CALLING, open_client

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as where the client is imported
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact import artifact_repository_registry
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.utils.file_utils import local_file_uri_to_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SEARCHES = re.compile(
    r"/graphql|/(ajax-)?api/[23]\.0/mlflow/(runs/search|experiments/search|experiments/search-datasets|logged-models/search"
    r"|registered-models/get-latest-versions|datasets/search|traces/search|traces/metrics|traces/batchGetInfos)"
)
"""What MLflow's pages ask for by POST and that reads; its GraphQL has searches alone."""

GATEWAY = re.compile(r"/gateway(/|$)")
"""What would call other servers, with whatever keys there are."""


def reads(method: str, path: str) -> bool:
    """Whether a request to MLflow's server changes nothing."""
    if GATEWAY.search(path):
        return False
    return method in ("GET", "HEAD") or (method == "POST" and SEARCHES.fullmatch(path) is not None)


def writes(method: str, path: str) -> bool:
    """Whether a request is one of those to a campaign's store, reading or not."""
    return GATEWAY.search(path) is None


def application(uri: str, artifacts: Path, *, is_own: bool) -> WSGIApplication:
    """MLflow's server over a store, as a WSGI application; for the rest of this process artifacts are confined to the campaign.

    artifacts: where they lie where the store is the campaign's own; else they lie where the store has the experiment.
    """
    # Server and store read them when they are imported and called; no jobs: their queue would lie in /dev/shm.
    for name, value in {**CALLING, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}.items():
        os.environ.setdefault(name, value)
    os.environ.pop(
        "MLFLOW_DEPLOYMENTS_TARGET", None
    )  # its pages then ask for a gateway in vain, and of no other server
    experiment = open_client(uri).get_experiment_by_name(EXPERIMENT)
    root = artifacts.as_uri() if is_own or experiment is None else str(experiment.artifact_location)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server import app, handlers

        handlers.initialize_backend_stores(uri, uri, root)
    confine(root)
    wsgi: WSGIApplication = app
    return wsgi


def confine(root: str) -> None:
    """Have MLflow find artifacts in this process below one URI alone, and follow no symbolic link there."""
    registry = artifact_repository_registry._artifact_repository_registry
    scheme = urlsplit(root).scheme
    if scheme in ("", "file"):
        folder = Path(os.path.normpath(local_file_uri_to_path(root)))
        repository: Callable[..., Any] = lambda uri, *rest, **options: ConfinedRepository(folder, uri)  # noqa: E731
        registry._registry = {"": repository, "file": repository}
    else:
        made = registry._registry[scheme]

        def below(uri: str, *rest: Any, **options: Any) -> Any:
            if not f"{uri}/".startswith(f"{root.rstrip('/')}/") or ".." in uri.split("/"):
                raise MlflowException.invalid_parameter_value("the artifact is not one of this campaign")
            return made(uri, *rest, **options)

        registry._registry = {scheme: below}


class ConfinedRepository(LocalArtifactRepository):
    """Artifacts below a folder; what is reached by a symbolic link, or is neither file nor folder, is not there."""

    def __init__(self, root: Path, artifact_uri: str) -> None:
        super().__init__(artifact_uri)
        self._root = root
        self._check(None)

    def _check(self, path: str | None) -> None:
        wanted = Path(os.path.normpath(os.path.join(self.artifact_dir, path or "")))
        if not wanted.is_relative_to(self._root):
            raise MlflowException.invalid_parameter_value("the artifact is not one of this campaign")
        parts = [
            self._root,
            *(wanted.parents[n] for n in reversed(range(len(wanted.relative_to(self._root).parts)))),
            wanted,
        ]
        for part in parts:
            try:
                mode = part.lstat().st_mode
            except FileNotFoundError:
                return
            if not stat.S_ISDIR(mode) and not (stat.S_ISREG(mode) and part == wanted):
                raise MlflowException.invalid_parameter_value(f"{path}: is no file, or reached by a symbolic link")

    def get_local_path(self, artifact_path: str) -> str:
        """The path of a file."""
        self._check(artifact_path)
        return str(super().get_local_path(artifact_path))

    def list_artifacts(self, path: str | None = None) -> list[Any]:
        """Files and folders in one, but for symbolic links."""
        self._check(path)
        found = super().list_artifacts(path)
        return [info for info in found if not os.path.islink(os.path.join(self.artifact_dir, info.path))]

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """The path of a file, or of its copy."""
        self._check(artifact_path)
        return str(super().download_artifacts(artifact_path, dst_path))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._check(remote_file_path)
        super()._download_file(remote_file_path, local_path)

    def _get_or_create_artifact_dir(self, artifact_path: str | None = None) -> str:
        self._check(artifact_path)
        return str(super()._get_or_create_artifact_dir(artifact_path))

    def _get_destination_artifact_path(
        self, artifact_file_name: str, artifact_path: str | None = None
    ) -> tuple[str, str]:
        self._check(os.path.join(artifact_path or "", os.path.basename(artifact_file_name)))
        folder, file = super()._get_destination_artifact_path(artifact_file_name, artifact_path)
        return folder, file

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, or a folder with what is in it."""
        self._check(artifact_path)
        super().delete_artifacts(artifact_path)

    def download_trace_data(self) -> dict[str, Any]:
        """The data of a trace."""
        self._check("traces.json")
        return dict(super().download_trace_data())
