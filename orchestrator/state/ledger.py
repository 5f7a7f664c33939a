"""The writing side of a campaign's books (nrtune.analysis.store.records reads them). One process at a time holds the pen."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nrtune.analysis.store import shapes
from nrtune.analysis.store.ledger_file import read_lines
from nrtune.analysis.store.records import (
    FAILED,
    FINISHED,
    JOURNAL_LOCK,
    MANIFEST,
    RECORDS,
    STATUS,
    TRIALS,
    TrialRecord,
    read_manifest,
    read_status,
    records_to_go_on,
)
from nrtune.analysis.store.sealed import sealed
from nrtune.orchestrator.state.identity import check_is_free
from nrtune.orchestrator.state.locations import LOCK, RAY_FOLDER, RETRIED
from nrtune.orchestrator.state.manifest import now, open_manifest, write_text
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.files import HISTORY, append_line, cut_torn_line, write_atomically
from nrtune.trainables.core.inside import check_inside, inside, regular
from nrtune.trainables.core.shape import DamagedFile, read_json

MOVED = "was renamed or removed while it was written to"


class CampaignBusy(UserError):
    """Another process writes to the campaign."""


class Ledger:
    """An open campaign folder: its manifest, the records of ended trials, and the lock that keeps others from writing.

    By fingerprint, `records` has the trials of the search or study itself, which count as such, `replicates` the others.
    since: when it began that was interrupted, maybe several times, and goes on. copied: a sentence where it was found to be a
    copy when it was opened; else empty. last: the number of the last record.
    """

    def __init__(
        self,
        folder: Path,
        manifest: dict[str, Any],
        lock: int,
        records: Iterable[TrialRecord],
        since: str,
        copied: str = "",
        last: int = 0,
    ) -> None:
        self.folder, self.manifest, self._lock, self.since = folder, manifest, lock, since
        self.copied, self._place, self._last = copied, _place(folder), last
        self.records: dict[str, TrialRecord] = {}
        self.replicates: dict[str, TrialRecord] = {}
        for record in records:
            self._keep(record)

    def append(self, record: TrialRecord) -> None:
        """Write down how a trial ended; when this returns, the line is on disk."""
        if not self.is_here():  # nothing is made at its old place
            raise FileNotFoundError(errno.ENOENT, MOVED, str(self.folder))
        append_line(self.folder / RECORDS, sealed(record.to_line(), self._last + 1))
        self._last += 1
        self._keep(record)

    def is_here(self) -> bool:
        """Whether the folder still is where it was opened: it may have been renamed or removed."""
        lock = os.fstat(self._lock)
        known = {(lock.st_dev, lock.st_ino), self._place}
        return not known.isdisjoint(map(_place, (self.folder / LOCK, self.folder)))

    def everything(self) -> dict[str, TrialRecord]:
        """All that has ended, replicates included, by fingerprint."""
        return self.replicates | self.records

    def retried(self, family: str) -> set[str]:
        """Fingerprints of a family's trials that have failed and are tried again, as long as they have not ended anew."""
        found = read_lines(self.folder / RETRIED, shapes.RECORD, TrialRecord.from_flat, 0)
        return {record.fingerprint for record in found.records if record.family == family} - self.everything().keys()

    def trial_folder(self, fingerprint: str) -> Path:
        """Where a trial's checkpoint, history and predictions lie."""
        return inside(self.folder, TRIALS, fingerprint)

    def history(self, fingerprint: str) -> list[dict[str, float]]:
        """The metrics of every epoch of a trial that is stored; empty where none is."""
        path = self.trial_folder(fingerprint) / HISTORY
        try:
            return (
                list(read_json(path, "the history of a trial", shapes.HISTORY, not_finite=True))
                if path.exists()
                else []
            )
        except DamagedFile:
            return []

    def write_status(
        self,
        state: str,
        command: str,
        running: list[dict[str, Any]],
        phase: str = "",
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write what is going on: state (running, finished, interrupted) of a command, pid, one entry a running trial.

        phase: of a command that has several. more: what else is said.

        since: when it began that was interrupted, maybe several times, and goes on.
        """
        if not self.is_here():
            return
        content = {
            "state": state,
            "command": command,
            "phase": phase,
            "pid": os.getpid(),
            "since": self.since,
            "updated": now(),
            "ended": self._last,
            "running": running,
            **more,
        }
        write_text(self.folder / STATUS, json.dumps(content, indent=1))

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._lock)

    def _keep(self, record: TrialRecord) -> None:
        self.trial_folder(record.fingerprint)  # raises where that is none of this campaign's
        kept = self.records if record.replicate_of is None else self.replicates
        kept[record.fingerprint] = record


def open_ledger(
    folder: Path, name: str, identity: Mapping[str, Any], about: Mapping[str, Any], *, must_exist: bool
) -> Ledger:
    """Create a campaign in an empty or missing folder, or open the one there.

    identity: the settings that decide its numbers. about: what else the manifest says. Raises UserError where the
    folder holds another campaign, something that is no campaign or leads out of it, or a running search.
    """
    if not (folder / MANIFEST).exists():
        if must_exist:
            raise UserError(f"{folder}: there is no campaign to resume; leave --resume out to start one")
        check_is_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder)
    try:
        manifest, sentence = open_manifest(folder, name, identity, about)
        cut_torn_line(folder / RECORDS)  # what it would have recorded is done again
        before = read_status(folder)
        since = now() if before.get("state", FINISHED) == FINISHED else before.get("since", now())
        found = records_to_go_on(folder)
        return Ledger(folder, manifest, lock, found.records, since, sentence, found.last)
    except BaseException:
        os.close(lock)
        raise


def _place(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def left_behind(folder: Path) -> str:
    """What is said of a campaign's folder that is not where it was; what Ray made at its place since is removed."""
    if not (folder / MANIFEST).exists():
        shutil.rmtree(folder / RAY_FOLDER, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
    return f"{folder}: {MOVED}; nothing that is there is lost: start again with --out where it is now"


def take_back_failed(folder: Path, names: Collection[str] = ()) -> list[str]:
    """Take failed trials out of the records, all or those of these names, so that the next start tries them again.

    Returned are their names. What they left is deleted, their records go to RETRIED. Raises UserError for a name that no
    failed trial has, where none has failed, while a search runs, and for a folder that may only be read.
    """
    read_manifest(folder)
    try:
        lock = _lock(folder)
    except OSError as error:
        raise UserError(
            f"{folder}: can't be written ({error.strerror}), and failed trials are tried again in it"
        ) from error
    try:
        records = records_to_go_on(folder).records
        failed = [record for record in records if record.status == FAILED and (not names or record.name in names)]
        by_name = {record.name: record for record in records}
        for name in names:
            if name not in by_name:
                raise UserError(f"{folder}: no trial {name!r} has ended{suggest(name, by_name)}")
            if by_name[name].status != FAILED:
                raise UserError(f"{folder}: {name} is {by_name[name].status}; only failed trials are tried again")
        if not failed:
            raise UserError(f"{folder}: no trial has failed, so there is none to try again")
        again = {record.fingerprint for record in failed}
        for record in failed:
            append_line(folder / RETRIED, record.to_line())
            shutil.rmtree(inside(folder, TRIALS, record.fingerprint), ignore_errors=True)
        kept = [record.to_line() for record in records if record.fingerprint not in again]
        text = "".join(f"{sealed(line, number)}\n" for number, line in enumerate(kept, start=1))
        status = read_status(folder)
        if "ended" in status:  # before: a crash between the two must not make records of those that were lost
            write_text(folder / STATUS, json.dumps({**status, "ended": len(kept)}, indent=1))
        write_atomically(folder / RECORDS, lambda temporary: temporary.write_text(text))
        return [record.name for record in failed]
    finally:
        os.close(lock)


def is_running(folder: Path) -> bool:
    """Whether some process holds the campaign's lock."""
    try:
        handle = regular(str(folder / LOCK), os.O_RDONLY)  # a reader may have no right to write
    except (FileNotFoundError, PermissionError):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # which a network's file system gives to readers as well
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[int]:
    """A campaign that nothing else writes to meanwhile; also of a folder that one may only read. Raises UserError."""
    try:
        handle = _lock(folder)
    except PermissionError:
        handle = _lock(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _lock(folder: Path, mode: int = os.O_RDWR | os.O_CREAT) -> int:
    check_inside(folder, but=(JOURNAL_LOCK,))  # whatever is written from now on is written in the folder
    handle = regular(str(folder / LOCK), mode)  # less the umask: a group's folder is the group's
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise CampaignBusy(
            f"{folder}: another search is writing to it; wait for it, or choose another --out"
        ) from error
    return handle
