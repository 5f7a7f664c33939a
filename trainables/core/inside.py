"""A folder is data: what lies in one is read and written there, and nothing that a link, a name or a pipe in it leads to."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path

from nrtune.trainables.core.errors import UserError

_NO_FILE = "is a pipe, a socket or a device, and no file; remove it"
_A_FOLDER = "is a folder, and a file should be there; remove it"


def inside(folder: Path, *names: str) -> Path:
    """The path of what lies in a folder by these names, one a level; nothing need be there.

    Raises UserError for what is no plain name (.. or an absolute path), where a symbolic link leads out of the folder, and
    for a pipe, a socket or a device.
    """
    path = folder
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise UserError(
                f"{path}: {name!r} is no name of a file in it, and what names it so is no record of nrtune's"
            )
        path = path / name
        _check(path, folder)
    return path


def check_inside(folder: Path, *, deep: bool = True, but: Collection[str] = ()) -> None:
    """See that nothing in a folder leads out of it, in the folders below it as well if deep.

    but: names of links in the folder itself that nothing follows. Raises UserError as `inside`, and for a folder that can't be
    looked into.
    """
    left = [os.fspath(folder)]
    while left:
        here = left.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left += [entry.path] * deep
                    elif not entry.is_file(follow_symlinks=False) and entry.name not in but:
                        _check(Path(entry.path), folder)
        except (FileNotFoundError, NotADirectoryError):  # it was there a moment ago
            continue
        except OSError as error:
            raise UserError(f"{here}: can't be looked into ({error.strerror}); mend its permissions (chmod)") from error


def regular(path: str, flags: int) -> int:
    """An opener for `open`: of a regular file alone, and through no link, as a pipe could keep a reader waiting.

    Raises UserError for anything else that is there.
    """
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{path}: is a symbolic link; put the file itself in its place") from error
        if error.errno == errno.ENXIO:
            raise UserError(f"{path}: {_NO_FILE}") from error
        if error.errno == errno.EISDIR:
            raise UserError(f"{path}: {_A_FOLDER}") from error
        raise
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise UserError(f"{path}: {_A_FOLDER}")
    raise UserError(f"{path}: {_NO_FILE}")


def _check(path: Path, folder: Path) -> None:
    """See that what is at a path, if anything, is a file or a folder, or leads to one of this folder's own."""
    try:
        if path.is_symlink():
            target = Path(os.path.realpath(path))
            if not target.is_relative_to(os.path.realpath(folder)):
                raise UserError(
                    f"{path}: is a symbolic link to {target}, outside of {folder}, and nrtune follows none out of a campaign's"
                    " folder; remove it, or put what it leads to in its place"
                )
        mode = path.stat().st_mode
    except OSError:  # nothing is there, or nothing that could be opened
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"{path}: {_NO_FILE}")
