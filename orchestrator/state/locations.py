"""Where a campaign keeps what: names within its folder, and URLs."""

from __future__ import annotations

from pathlib import Path

from nrtune.analysis.store.records import read_manifest
from nrtune.trainables.core.errors import UserError

MLFLOW, DATABASE = "mlflow", "mlflow.db"
RAY_FOLDER = "ray"


def default_uri(folder: Path) -> str:
    """The MLflow tracking URI of a campaign folder's own SQLite database."""
    return f"sqlite:///{(folder / DATABASE).resolve()}"


def tracking_uri(folder: Path) -> str:
    """Where a campaign's MLflow records are. Raises UserError for a folder that holds no campaign, or another tracker's."""
    if (tracker := tracker_of(folder)) != MLFLOW:
        raise UserError(f"{folder}: its trials are shown by the tracker {tracker}, and MLflow has none of them")
    return str(read_manifest(folder)["identity"]["tracking_uri"] or default_uri(folder))


def tracker_of(folder: Path) -> str:
    """What shows a campaign's trials. Raises UserError for a folder that holds no campaign."""
    return str(read_manifest(folder)["identity"].get("tracker", MLFLOW))


def absolute(url: str | None) -> str | None:
    """A relative path in a SQLite URL would mean another database in another folder."""
    prefix = "sqlite:///"
    if url is None or not url.startswith(prefix) or url.startswith(f"{prefix}/"):
        return url
    return prefix + str(Path(url.removeprefix(prefix)).resolve())
