"""The writing side of a campaign's books (nrtune.analysis.store.records reads them). One process at a time holds the pen."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nrtune.analysis.store.records import (
    FAILED,
    FINISHED,
    FORMAT,
    MANIFEST,
    RECORDS,
    STATUS,
    TRIALS,
    TrialRecord,
    read_manifest,
    read_records,
    read_status,
)
from nrtune.orchestrator.state.identity import ADDRESSES, SPACE, check_identity, check_is_free
from nrtune.orchestrator.state.locations import LOCK, RETRIED
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.files import HISTORY, append_line, cut_torn_line, write_atomically
from nrtune.trainables.core.secrets import without_password


class Ledger:
    """An open campaign folder: its manifest, the records of ended trials, and the lock that keeps others from writing.

    By fingerprint, `records` has the trials of the search or study itself, which count as such, `replicates` the others.
    since: when it began that was interrupted, maybe several times, and goes on.
    """

    def __init__(
        self, folder: Path, manifest: dict[str, Any], lock: int, records: Iterable[TrialRecord], since: str
    ) -> None:
        self.folder, self.manifest, self._lock, self.since = folder, manifest, lock, since
        self.records: dict[str, TrialRecord] = {}
        self.replicates: dict[str, TrialRecord] = {}
        for record in records:
            self._keep(record)

    def append(self, record: TrialRecord) -> None:
        """Write down how a trial ended; when this returns, the line is on disk."""
        append_line(self.folder / RECORDS, record.to_line())
        self._keep(record)

    def everything(self) -> dict[str, TrialRecord]:
        """All that has ended, replicates included, by fingerprint."""
        return self.replicates | self.records

    def retried(self, family: str) -> set[str]:
        """Fingerprints of a family's trials that have failed and are tried again, as long as they have not ended anew."""
        path = self.folder / RETRIED
        lines = map(json.loads, path.read_text().splitlines() if path.exists() else ())
        return {line["fingerprint"] for line in lines if line["family"] == family} - self.everything().keys()

    def trial_folder(self, fingerprint: str) -> Path:
        """Where a trial's checkpoint, history and predictions lie."""
        return self.folder / TRIALS / fingerprint

    def history(self, fingerprint: str) -> list[dict[str, float]]:
        """The metrics of every epoch of a trial that is stored; empty where none is."""
        try:
            history: list[dict[str, float]] = json.loads((self.trial_folder(fingerprint) / HISTORY).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return []
        return history

    def write_status(self, state: str, command: str, running: list[dict[str, Any]], phase: str = "") -> None:
        """Write what is going on: state (running, finished, interrupted) of a command, pid, one entry a running trial.

        phase: of a command that has several.

        since: when it began that was interrupted, maybe several times, and goes on.
        """
        content = {
            "state": state,
            "command": command,
            "phase": phase,
            "pid": os.getpid(),
            "since": self.since,
            "updated": now(),
            "running": running,
        }
        _write_text(self.folder / STATUS, json.dumps(content, indent=1))

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._lock)

    def _keep(self, record: TrialRecord) -> None:
        kept = self.records if record.replicate_of is None else self.replicates
        kept[record.fingerprint] = record


def open_ledger(
    folder: Path, name: str, identity: Mapping[str, Any], about: Mapping[str, Any], *, must_exist: bool
) -> Ledger:
    """Create a campaign in an empty or missing folder, or open the one there.

    identity: the settings that decide its numbers. about: what else the manifest says. Raises UserError where the
    folder holds another campaign, something that is no campaign, or a running search.
    """
    if not (folder / MANIFEST).exists():
        if must_exist:
            raise UserError(f"{folder}: there is no campaign to resume; leave --resume out to start one")
        check_is_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder)
    try:
        manifest = _manifest(folder, name, identity, about)
        cut_torn_line(folder / RECORDS)  # what it would have recorded is done again
        before = read_status(folder)
        since = now() if before.get("state", FINISHED) == FINISHED else before.get("since", now())
        return Ledger(folder, manifest, lock, read_records(folder), since)
    except BaseException:
        os.close(lock)
        raise


def _manifest(folder: Path, name: str, identity: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Read the manifest, made now if there is none, without passwords. Raises UserError where it is another campaign's."""
    identity, about = _without_passwords(identity), dict(about)
    if "settings" in about:
        about["settings"] = _without_passwords(about["settings"])
    if not (folder / MANIFEST).exists():
        manifest = {
            "format": FORMAT,
            "id": uuid.uuid4().hex[:12],
            "name": name,
            "created": now(),
            "identity": dict(identity),
            **about,
        }
        _write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
    manifest = read_manifest(folder)
    check_identity(folder, manifest, identity)
    before = json.dumps(manifest)
    for name in ADDRESSES:  # it is tracked, or Optuna's studies are kept, elsewhere now
        if (uri := identity.get(name)) != manifest["identity"].get(name):
            manifest["identity"][name] = uri
            manifest["settings"] = {k: v for k, v in manifest["settings"].items() if k != name}
            manifest["settings"] |= {} if uri is None else {name: uri}
    if SPACE in identity:  # of families that it is extended by
        manifest["identity"][SPACE] = {**identity[SPACE], **manifest["identity"].get(SPACE, {})}
    if "audit" in about and manifest.get("audit") != about["audit"]:  # what was accepted now is said from now on
        manifest["audit"] = about["audit"]
        manifest["settings"] = {**manifest["settings"], "accept": list(about["audit"]["accepted"])}
    if json.dumps(manifest) != before:
        _write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
    return manifest


def _without_passwords(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: without_password(value) if name in ADDRESSES else value for name, value in said.items()}


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


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
        records = read_records(folder)
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
            shutil.rmtree(folder / TRIALS / record.fingerprint, ignore_errors=True)
        kept = "".join(f"{record.to_line()}\n" for record in records if record.fingerprint not in again)
        write_atomically(folder / RECORDS, lambda temporary: temporary.write_text(kept))
        return [record.name for record in failed]
    finally:
        os.close(lock)


def is_running(folder: Path) -> bool:
    """Whether some process holds the campaign's lock."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)  # a reader may have no right to write
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
    handle = os.open(folder / LOCK, mode, 0o666)  # less the umask: a group's folder is the group's
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UserError(f"{folder}: another search is writing to it; wait for it, or choose another --out") from error
    return handle


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n"))
