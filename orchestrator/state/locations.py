"""Where a campaign keeps what: names within its folder, and URLs."""

from __future__ import annotations

import os
from pathlib import Path

from nrtune.analysis.store.records import MANIFEST, read_manifest
from nrtune.orchestrator.state.given import VARIABLES, check_given, remember
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.secrets import without_password

MLFLOW, DATABASE, ARTIFACTS = "mlflow", "mlflow.db", "artifacts"
RAY_FOLDER = "ray"
LOCK = ".lock"
SLURM_FOLDER = "slurm"
"""What its jobs on SLURM have printed, their script, and while one runs its token."""
TRACKING_VARIABLE, OPTUNA_VARIABLE = VARIABLES["tracking_uri"], VARIABLES["optuna_storage"]
"""Where addresses may be given that hold a password: neither a command line nor a campaign's folder shows them."""
RETRIED = "retried.jsonl"
"""Records of failed trials that were tried again, as they were."""


def default_uri(folder: Path, name: str = DATABASE) -> str:
    """The MLflow tracking URI of a campaign folder's own SQLite database, or of another one there."""
    path = str((folder / name).resolve())
    if quoted := any(sign in path for sign in "?#%"):
        path = "".join(f"%{ord(sign):02X}" if sign in "?#%" else sign for sign in path)
    # For a URL that says its driver MLflow makes no folder of the quoted name.
    return f"sqlite{'+pysqlite' if quoted else ''}:///{path}"


def tracking_uri(folder: Path, given: str | None = None) -> str:
    """Where a campaign's MLflow records are, or are given to be now.

    Raises UserError for a folder that holds no campaign, or another tracker's, and for an address that nobody but the folder
    gives.
    """
    if (tracker := tracker_of(folder)) != MLFLOW:
        raise UserError(f"{folder}: its trials are shown by the tracker {tracker}, and MLflow has none of them")
    uri = chosen_tracking_uri(given, folder)
    if given is not None and without_password(uri) == read_manifest(folder)["identity"].get("tracking_uri"):
        remember(folder, {"tracking_uri": uri})
    return uri or default_uri(folder)


def is_server(uri: str) -> bool:
    """Whether a tracking URI is that of a server, whose pages are its own, and not of a database."""
    return uri.startswith(("http://", "https://", "databricks"))


def tracker_of(folder: Path) -> str:
    """What shows a campaign's trials. Raises UserError for a folder that holds no campaign."""
    return str(read_manifest(folder)["identity"].get("tracker", MLFLOW))


def chosen_tracking_uri(given: str | None, folder: Path) -> str | None:
    """Where a campaign is to be tracked: as is said now, else as it was; None: in the folder's own database.

    Raises UserError for an address that nobody but the folder gives.
    """
    if given is None:
        stored = read_manifest(folder)["identity"].get("tracking_uri") if (folder / MANIFEST).exists() else None
        check_given(folder, "tracking_uri", stored)
        return with_password(stored, TRACKING_VARIABLE)
    uri = with_password(absolute(given), TRACKING_VARIABLE)
    return None if uri in (default_uri(folder), f"sqlite:///{(folder / DATABASE).resolve()}") else uri


def with_password(url: str | None, variable: str) -> str | None:
    """An address as it was stored, without a password; or that of an environment variable, if it is the same but for it."""
    known = os.environ.get(variable)
    return known if known is not None and url is not None and without_password(known) == url else url


def absolute(url: str | None) -> str | None:
    """A relative path in a SQLite URL would mean another database in another folder."""
    prefix = "sqlite:///"
    if url is None or not url.startswith(prefix) or url.startswith(f"{prefix}/"):
        return url
    return prefix + str(Path(url.removeprefix(prefix)).resolve())
