"""Where Optuna keeps its studies: a journal file in the campaign's folder, or a database."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from nrtune.analysis.sources.mlflow_local import sqlite_path
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import cut_torn_line

JOURNAL = "optuna.journal"

Direction = Literal["maximize", "minimize"]


def open_storage(folder: Path, url: str | None) -> BaseStorage:
    """The campaign's journal file, or the database of a URL, to write to; the campaign's lock is held.

    Raises UserError for one that can't be opened.
    """
    if url is None:
        # A process killed while it wrote leaves half a line, to which Optuna would append, and a symbolic link as its
        # lock; nobody is writing now.
        cut_torn_line(folder / JOURNAL)
        Path(f"{folder / JOURNAL}.lock").unlink(missing_ok=True)
        return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    return _database(url)


def read_storage(folder: Path, url: str | None) -> BaseStorage:
    """The same to look at, while a search may be writing to it; of a journal that may only be read a copy, as it is now.

    Raises UserError for one that is not there or can't be opened.
    """
    if url is not None:
        if (path := sqlite_path(url)) is not None and not path.is_file():
            raise UserError(f"--optuna-storage {url}: there is no such database")
        return _database(url)
    journal = folder / JOURNAL
    if not journal.is_file():
        raise UserError(f"{folder}: has no {JOURNAL}, so there are no studies to look at")
    if os.access(journal, os.W_OK) and os.access(folder, os.W_OK):
        return JournalStorage(JournalFileBackend(str(journal)))
    copied = Path(tempfile.mkdtemp(prefix="nrtune-"))
    shutil.copyfile(journal, copied / JOURNAL)
    storage = JournalStorage(JournalFileBackend(str(copied / JOURNAL)))
    weakref.finalize(storage, shutil.rmtree, copied, ignore_errors=True)
    return storage


def _database(url: str) -> BaseStorage:
    try:
        return RDBStorage(url)
    except Exception as error:  # SQLAlchemy and drivers raise many kinds
        raise UserError(f"--optuna-storage {url}: cannot be opened ({one_line(error)})") from error


def open_study(
    storage: BaseStorage, study_name: str, campaign_id: str, directions: Sequence[Direction] = ("maximize",)
) -> optuna.Study:
    """Open a family's study, made for this campaign if new; a direction an objective, maximize or minimize.

    Raises UserError for one of another campaign.
    """
    study = optuna.create_study(
        storage=storage, study_name=study_name, directions=list(directions), load_if_exists=True
    )
    if study.user_attrs.setdefault("campaign", campaign_id) != campaign_id:
        raise UserError(
            f"the Optuna study {study_name!r} belongs to another campaign; choose another --name or storage"
        )
    study.set_user_attr("campaign", campaign_id)
    return study
