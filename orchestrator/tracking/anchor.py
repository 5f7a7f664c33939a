"""A campaign folder that was moved or copied: its database, in which MLflow keeps absolute paths, is led to the files here.

A copy that has an id of its own has it there as well.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from nrtune.analysis.sources.mlflow import CAMPAIGN_TAG, EXPERIMENT
from nrtune.analysis.sources.mlflow_local import check_is_there, is_writable, sqlite_path
from nrtune.analysis.store.records import read_manifest
from nrtune.analysis.wording import shell_path
from nrtune.orchestrator.state.copies import ids_of
from nrtune.orchestrator.state.locations import ARTIFACTS, DATABASE, default_uri, tracking_uri
from nrtune.orchestrator.tracking.pages import VIEW_TAG
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.inside import check_inside

LOCATIONS = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
             ("model_versions", "source"), ("model_versions", "storage_location"))  # fmt: skip
"""Tables and columns of MLflow's that hold absolute places of artifacts."""
_OWN_CODE = re.compile(rf"\b({'|'.join(sorted({table for table, _ in LOCATIONS}))})\b", re.IGNORECASE)
"""What a trigger or a view says that could change such a place behind a look at it; MLflow's own trigger says none of it."""


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
        if is_writable(folder / DATABASE):  # another one is read from a copy, which is led here
            anchor_or_refuse(folder, read_manifest(folder))
    return uri


def anchor_or_refuse(folder: Path, manifest: Mapping[str, Any], database_file: Path | None = None) -> None:
    """As `anchor`; a database that can't be led here can't be looked through either, and raises UserError."""
    try:
        anchor(folder, manifest, database_file)
    except sqlite3.Error as error:
        raise UserError(
            f"{folder / DATABASE}: can't be looked through ({one_line(error)}); try again, or move it away, and"
            f" nrtune track {shell_path(folder)} writes it anew from the campaign's records"
        ) from error


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
        _check_code(database, folder)
        _name(database, manifest)
        query = "SELECT artifact_location FROM experiments WHERE name = ?"
        there = str((database.execute(query, (EXPERIMENT,)).fetchone() or (here,))[0])
        # One of an older MLflow lacks some.
        places = [
            (table, column)
            for table, column in LOCATIONS
            if (column,) in database.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchall()  # noqa: S608  # the names of LOCATIONS
        ]
        for table, column in places if there != here and there.startswith("file:") else ():
            # Within a folder alone: /a/campaign is no beginning of /a/campaign-2.
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608  # the names of LOCATIONS
                f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (here, len(there) + 1, there, len(there) + 1, f"{there}/"),
            )
        for table, column in places:
            if table == "experiments":
                query = f"SELECT {column} FROM {table} WHERE name = '{EXPERIMENT}'"  # noqa: S608  # the names of LOCATIONS
            else:  # the Default of MLflow's own is not used
                query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608  # the names of LOCATIONS
            for (place,) in database.execute(query):
                _check_place(str(place), folder)


def _check_code(database: sqlite3.Connection, folder: Path) -> None:
    """See that a database has no code that changes where artifacts lie, as MLflow writes to it. Raises UserError."""
    query = "SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"
    found = [str(name) for name, sql in database.execute(query) if _OWN_CODE.search(f"{name} {sql}")]
    for table in {table for table, _ in LOCATIONS}:
        query = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden > 0"
        found += [f"{table}.{column}" for (column,) in database.execute(query, (table,))]
    if found:
        raise UserError(
            f"{folder / DATABASE}: has code of its own ({found[0]}), which could name files elsewhere; move it away, and"
            f" nrtune track {shell_path(folder)} writes it anew from the campaign's records"
        )


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
