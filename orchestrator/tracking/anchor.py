"""A campaign folder that was moved or copied: its database, in which MLflow keeps absolute paths, is led to the files here.

A copy that has an id of its own has it there as well.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from nrtune.analysis.sources.mlflow import CAMPAIGN_TAG, EXPERIMENT
from nrtune.analysis.sources.mlflow_local import check_is_there, sqlite_path
from nrtune.analysis.store.records import read_manifest
from nrtune.analysis.wording import shell_path
from nrtune.orchestrator.state.copies import ids_of
from nrtune.orchestrator.state.locations import ARTIFACTS, DATABASE, default_uri, tracking_uri
from nrtune.orchestrator.tracking.pages import VIEW_TAG
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.inside import check_inside

LOCATIONS = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
             ("model_versions", "source"), ("model_versions", "storage_location"))  # fmt: skip
"""Tables and columns of MLflow's that hold absolute places of artifacts."""


def anchored(folder: Path, given: str | None = None, *, to_write: bool = False) -> str:
    """The tracking URI of a campaign that has ended: of a folder's own database that can be led to the files here.

    given: as of `tracking_uri`. to_write: refuse one that may only be read, which may still name another folder's files.

    Raises UserError as `tracking_uri` does, and where there is none.
    """
    uri = tracking_uri(folder, given)
    try:
        check_is_there(uri)
    except UserError as error:
        raise UserError(f"{error}; nrtune track {shell_path(folder)} writes all of the campaign into one") from error
    if (path := sqlite_path(uri)) is not None and to_write and not os.access(path, os.W_OK):
        elsewhere = f"nrtune track {shell_path(folder)} --tracking-uri URI"
        raise UserError(f"{path}: may not be written; to have the campaign in another MLflow: {elsewhere}")
    if uri == default_uri(folder):
        check_inside(folder / ARTIFACTS)
        with suppress(sqlite3.Error):  # MLflow itself says what is wrong with it; one that may only be read is as it is
            anchor(folder, read_manifest(folder))
    return uri


def anchor(folder: Path, manifest: Mapping[str, Any], database_file: Path | None = None) -> None:
    """Where a folder's own database names another folder's artifacts, or the campaign that was copied, have it name its own.

    database_file: a copy of it elsewhere, which is changed instead.

    Raises sqlite3.Error where it is no database, locked, or may not be written, and UserError where it names files elsewhere.
    """
    path = (database_file or folder / DATABASE).resolve()
    here = (folder / ARTIFACTS).resolve().as_uri()
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as database, database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
            return
        _name(database, manifest)
        query = "SELECT artifact_location FROM experiments WHERE name = ?"
        there = (database.execute(query, (EXPERIMENT,)).fetchone() or (here,))[0]
        # One of an older MLflow lacks some.
        places = [
            (table, column)
            for table, column in LOCATIONS
            if (column,) in database.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchall()
        ]
        for table, column in places if there != here and there.startswith("file:") else ():
            # Within a folder alone: /a/campaign is no beginning of /a/campaign-2.
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (here, len(there) + 1, there, len(there) + 1, f"{there}/"),
            )
        for table, column in places:
            if table == "experiments":
                query = f"SELECT {column} FROM {table} WHERE name = '{EXPERIMENT}'"  # the Default of MLflow's own is not used
            else:
                query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"
            for (place,) in database.execute(query):
                _check_place(str(place), folder)


def _check_place(place: str, folder: Path) -> None:
    """See that artifacts lie in a campaign's folder: MLflow would read, write and delete them wherever they are said to be."""
    parts = urlsplit(place)
    if parts.scheme == "models":  # of a registered model: the one that was logged, whose place is looked at as well
        return
    there = os.path.normpath(unquote(parts.path))
    if parts.scheme != "file" or parts.netloc or not Path(there).is_relative_to((folder / ARTIFACTS).resolve()):
        raise UserError(
            f"{folder / DATABASE}: names files at {place}, outside of the campaign's folder; move it away, and"
            f" nrtune track {shell_path(folder)} writes it anew from the campaign's records"
        )


def _name(database: sqlite3.Connection, manifest: Mapping[str, Any]) -> None:
    *before, number = ids_of(manifest)
    for other in before:
        database.execute("UPDATE tags SET value = ? WHERE key = ? AND value = ?", (number, CAMPAIGN_TAG, other))
        database.execute(
            "UPDATE OR REPLACE experiment_tags SET key = ?, value = replace(value, ?, ?) WHERE key = ?",
            (f"{VIEW_TAG}{number}", other, number, f"{VIEW_TAG}{other}"),
        )
