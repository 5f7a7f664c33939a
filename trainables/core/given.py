"""Files and folders that users give: whether one is there and may be read, in one sentence where it is not."""

from __future__ import annotations

import stat
from pathlib import Path

from nrtune.trainables.core.errors import UserError


def check_file(path: Path, what: str) -> None:
    """See that a path is a regular file that may be read, as a pipe could keep a reader waiting. what: what should be there.

    Raises UserError.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise UserError(f"{path}: is a link to {path.readlink()}, which is not there; give {what}") from error
        raise UserError(f"{path}: no such file; give {what}") from error
    except (OSError, ValueError) as error:  # no permission, a circle of links, a name that no file can have
        raise UserError(f"{path}: can't be read ({getattr(error, 'strerror', error)}); give {what}") from error
    if stat.S_ISDIR(mode):
        raise UserError(f"{path}: is a folder; give {what}")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: is a pipe or a device; write it to a file, and give {what}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); give {what}") from error


def list_files(folder: Path, what: str) -> list[Path]:
    """What lies in a folder, sorted by name. what: what the folder should hold, for errors."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError as error:
        if folder.is_symlink():
            raise UserError(f"{folder}: is a link to {folder.readlink()}, which is not there; give {what}") from error
        raise UserError(f"{folder}: no such folder; give {what}") from error
    except NotADirectoryError as error:
        raise UserError(f"{folder}: is a file; give {what}") from error
    except OSError as error:
        raise UserError(f"{folder}: can't be read ({error.strerror}); give {what}") from error
