"""MLflow stores in files of this machine: MLflow would make one where none is, and write to it to read it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from nrtune.trainables.core.errors import UserError, one_line

NEITHER_WRITTEN_NOR_WAITED_FOR = ("unable to open", "readonly", "locked", "busy")
"""What SQLite says of a database that is one all the same."""


def check_is_there(uri: str) -> None:
    """See that there is a store at a URI that names a file or folder of this machine. Raises UserError where there is none."""
    if (path := sqlite_path(uri)) is not None:
        if not path.is_file():
            raise UserError(f"{uri}: there is no such database")
        if not os.access(path, os.R_OK):
            raise UserError(f"{uri}: the database may not be read; mend its permissions (chmod)")
        if not _has_experiments(uri, path):
            raise UserError(f"{uri}: is a database, but none of MLflow's")
    elif (parts := urlsplit(uri)).scheme == "file":
        folder = Path(unquote(parts.path))
        if not folder.is_dir():
            raise UserError(f"{uri}: there is no such folder")
        if next(folder.glob("*/meta.yaml"), None) is None:
            raise UserError(f"{uri}: holds no runs of MLflow's")


def to_read(uri: str) -> tuple[str, Path | None]:
    """Where a store is read from: of a database that may not be written to a copy, in a folder that is the caller's to delete.

    SQLite can't read one in its write-ahead mode without files beside it. Raises UserError where it can't be copied.
    """
    path = sqlite_path(uri)
    if path is None or is_writable(path):
        return uri, None
    folder = Path(tempfile.mkdtemp(prefix="nrtune-"))
    try:
        for end in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{end}", folder / f"mlflow.db{end}")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(
            f"{uri}: may not be written, and a copy of it has no room in {folder.parent} ({error.strerror}); set TMPDIR to"
            " another folder"
        ) from error
    return f"sqlite:///{folder / 'mlflow.db'}", folder


def is_writable(path: Path) -> bool:
    """Whether a database can be opened where it lies: SQLite makes files beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite database by its URL; None for any other store. Raises UserError for a URL without a file."""
    if not uri.startswith(("sqlite:", "sqlite+")):
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(uri).database
    except (ArgumentError, ValueError) as error:
        raise UserError(f"{uri}: is no database's URL ({one_line(error)})") from error
    if not database or database == ":memory:" or database.startswith("file:"):
        raise UserError(f"{uri}: names no file; write sqlite:///FILE, or sqlite:////FOLDER/FILE")
    return Path(database)


def _has_experiments(uri: str, path: Path) -> bool:
    """Whether a database has MLflow's tables. Raises UserError for a file that is none: MLflow would try it for minutes."""
    if path.stat().st_size == 0:
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as database:
            return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone() is not None
    except sqlite3.Error as error:
        if any(word in str(error) for word in NEITHER_WRITTEN_NOR_WAITED_FOR):
            return True
        raise UserError(f"{uri}: is no database that can be read ({one_line(error)})") from error
