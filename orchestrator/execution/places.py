"""Folders that a campaign needs to write to: its own, and one for Ray's sockets and logs."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from nrtune.analysis.store.records import MANIFEST, RECORDS, STATUS, TRIALS
from nrtune.orchestrator.execution.guardian import LENGTH
from nrtune.orchestrator.state.locations import LOCK
from nrtune.trainables.core.errors import UserError

ROOM = 50_000_000
"""Bytes that must be free in a folder. A session of Ray's writes less than 1 MB where nothing goes wrong; a trial's checkpoint
of the small preset has 1 MB, of the large ones tens, and each is written beside the one before it."""

LONGEST = 40
"""Characters of Ray's folder: a socket's path has 107 at most, and Ray puts 65 of its own behind that."""

SHORT = ("/tmp", "/var/tmp", "/dev/shm")
"""Where Ray's folder may lie if the place for temporary files has too long a name."""


def place_for_ray() -> Path:
    """Where a Ray that starts on this machine gets a folder of its own, for sockets and logs.

    That is RAY_TMPDIR, TMPDIR or /tmp, but where that is too long for a socket, a shorter one. Raises UserError where it is
    missing, full, or can't be written.
    """
    variable, base = _temporary()
    named = f"{variable or 'the folder for temporary files'} {base}"
    longest = LONGEST - LENGTH - 1
    if len(os.fsencode(base)) <= longest:
        _check(base, named, f"set {variable or 'TMPDIR'} to another folder")
        return base
    for other in map(Path, SHORT):
        if _fault(other) is None:
            return other
    raise UserError(
        f"{named} is too long for a socket's path, and none of {', '.join(SHORT)} can be written; set TMPDIR to a"
        f" folder whose path has at most {longest} characters"
    )


def check_folder(folder: Path) -> None:
    """See that a campaign's folder can be made or written, and that there is room. Raises UserError."""
    existing = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not existing.is_dir():
        raise UserError(f"--out {folder}: {existing} is no folder; choose another --out")
    _check(existing, f"--out {folder}", "choose another --out")
    for name in (MANIFEST, RECORDS, STATUS, TRIALS, LOCK):
        if (folder / name).exists() and not os.access(folder / name, os.W_OK):
            raise UserError(f"--out {folder}: {name} in it can't be written; mend its permissions (chmod)")


def _temporary() -> tuple[str | None, Path]:
    """Where temporary files are, and the variable that says so; None where none does."""
    for variable in ("RAY_TMPDIR", "TMPDIR"):
        if given := os.environ.get(variable):
            return variable, Path(given).absolute()
    return None, Path("/tmp")


def _check(folder: Path, what: str, otherwise: str) -> None:
    if (fault := _fault(folder)) is not None:
        raise UserError(f"{what} {fault}, or {otherwise}")


def _fault(folder: Path) -> str | None:
    """What is wrong with a folder that is to be written to, and what to do about it; None where nothing is."""
    if not folder.is_dir():
        return "doesn't exist: make it" if not folder.exists() else "is no folder: remove it"
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        return f"has {free / 1e6:.0f} MB free, and {ROOM / 1e6:.0f} MB are needed: make room"
    try:
        # Quotas refuse that although there is room, as do file systems that have no file left.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".nrtune-") as file:
            file.write(bytes(1 << 16))
            file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"is full ({error.strerror}): make room"
        return f"can't be written ({error.strerror}): mend its permissions"
    return None
