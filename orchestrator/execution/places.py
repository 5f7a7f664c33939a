"""Folders that a campaign needs to write to: its own, and one for Ray's sockets and logs."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

from nrtune.analysis.store.records import MANIFEST, RECORDS, STATUS, TRIALS
from nrtune.analysis.wording import shell_path
from nrtune.orchestrator.execution.guardian import LENGTH
from nrtune.orchestrator.state.locations import LOCK
from nrtune.trainables.core.errors import UserError

ROOM = 50_000_000
"""Bytes that must be free in a folder. A session of Ray's writes less than 1 MB where nothing goes wrong; a trial's checkpoint
of the small preset has 1 MB, of the large ones tens, and each is written beside the one before it."""

LONGEST = 40
"""Characters of Ray's own folder: a socket's path has 107 at most, and Ray puts 65 of its own behind that."""

RAY = "r"
"""Ray's folder in one that is private: Ray gives the mode 0777 to the folder that is named to it."""

SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # a folder of mode 0700 is made there
"""Where Ray's folder may lie if the place for temporary files has too long a name."""


def place_for_ray() -> Path:
    """Where a Ray that starts on this machine gets a folder of its own, for sockets and logs.

    That is RAY_TMPDIR, TMPDIR or /tmp, but where that is too long for a socket, a shorter one. Raises UserError where it is
    missing, full, can't be written, or where other accounts can put something else in place of what lies in it.
    """
    variable, base = _temporary()
    named = f"{variable or 'the folder for temporary files'} {base}"
    longest = LONGEST - len(f"/{RAY}") - LENGTH - 1
    if len(os.fsencode(base)) <= longest:
        otherwise = f"set {variable or 'TMPDIR'} to another folder"
        _check(base, named, otherwise)
        if (exposed := _exposed(base)) is not None:
            raise UserError(f"{named}: {exposed}, or {otherwise}")
        return base
    for other in map(Path, SHORT):
        if _fault(other) is None and _exposed(other) is None:
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
    return None, Path("/tmp")  # noqa: S108  # as SHORT


def _check(folder: Path, what: str, otherwise: str) -> None:
    if (fault := _fault(folder)) is not None:
        raise UserError(f"{what} {fault}, or {otherwise}")


def _exposed(folder: Path) -> str | None:
    """How another account could put something else in place of what lies in a folder, and what to do; None where none can.

    In a folder with the sticky bit, as /tmp has it, only who has made something can move it.
    """
    folder = folder.resolve()
    for part in (folder, *folder.parents):
        mode = part.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"everybody can move what lies in {part}: take that right away (chmod o-w {shell_path(part)})"
    owner = folder.stat().st_uid
    if owner not in {0, os.geteuid()} and _all_accounts_are_seen():
        return f"it belongs to another account (number {owner}), which can move what lies in it: make one of your own"
    return None


def _all_accounts_are_seen() -> bool:
    """False in a container without privileges, where root and everybody else appear as one account, nobody."""
    try:
        return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    except OSError:  # no Linux
        return True


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
