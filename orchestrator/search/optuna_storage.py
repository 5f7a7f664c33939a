"""Where Optuna keeps its studies: a journal file in the campaign's folder, or a database."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from nrtune.analysis.sources.mlflow_local import sqlite_path
from nrtune.analysis.store.records import JOURNAL, JOURNAL_LOCK
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import cut_torn_line

CAMPAIGN = "campaign"
"""The attribute of a study that has its campaign's id; it is set last."""

Direction = Literal["maximize", "minimize"]


def open_storage(folder: Path, url: str | None) -> BaseStorage:
    """The campaign's journal file, or the database of a URL, to write to; the campaign's lock is held.

    Raises UserError for one that can't be opened.
    """
    if url is None:
        # A process killed while it wrote leaves half a line, to which Optuna would append, and a symbolic link as its
        # lock; nobody is writing now.
        cut_torn_line(folder / JOURNAL)
        (folder / JOURNAL_LOCK).unlink(missing_ok=True)
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
    storage: BaseStorage,
    study_name: str,
    campaign_id: str,
    directions: Sequence[Direction] = ("maximize",),
    copied_from: Collection[str] = (),
    *,
    metrics: Sequence[str] = (),
    about: Mapping[str, Any] = MappingProxyType({}),
) -> optuna.Study:
    """Open a family's study, made for this campaign if new; a direction an objective, maximize or minimize.

    copied_from: ids of campaigns of which this one is a copy, and its journal with it. metrics: names of the objectives. about:
    what is kept with the study for whoever looks at it. Raises UserError for one of another
    campaign.
    """
    study = optuna.create_study(
        storage=storage, study_name=study_name, directions=list(directions), load_if_exists=True
    )
    if study.user_attrs.setdefault(CAMPAIGN, campaign_id) not in (campaign_id, *copied_from):
        raise UserError(
            f"the Optuna study {study_name!r} belongs to another campaign; choose another --name or storage"
        )
    if metrics and study.metric_names != list(metrics):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # so since Optuna 3.2
            study.set_metric_names(list(metrics))
    for name, value in about.items():
        if study.user_attrs.get(name) != value:
            study.set_user_attr(name, value)
    study.set_user_attr(CAMPAIGN, campaign_id)
    return study


def copy_study(storage: BaseStorage, of: str, to: str, is_known: Callable[[FrozenTrial], bool]) -> None:
    """Make a study of what another one in the same database has, unless it is there, or the other is not.

    is_known: whether the copy knows how a trial ended; one that it does not know ended in the original alone, and is proposed
    again, as those are that were interrupted.
    """
    names = set(optuna.get_all_study_names(storage))
    if of not in names:
        return
    if to in names:
        if CAMPAIGN in optuna.load_study(study_name=to, storage=storage).user_attrs:
            return
        optuna.delete_study(study_name=to, storage=storage)  # killed while it was copied
    original = optuna.load_study(study_name=of, storage=storage)
    made = optuna.create_study(storage=storage, study_name=to, directions=original.directions)
    made.add_trials(
        _still_running(trial) if trial.state.is_finished() and not is_known(trial) else trial
        for trial in original.get_trials()
    )


def _still_running(trial: FrozenTrial) -> FrozenTrial:
    """A trial as it was before it ended."""
    return optuna.trial.create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
    )
