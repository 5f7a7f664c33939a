"""A campaign's folder that was copied: to all that lies outside of it, servers and databases, it is a campaign of its own."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nrtune.analysis.store.records import MANIFEST, read_manifest
from nrtune.trainables.core.errors import UserError

PLACE, COPIED_FROM = "place", "copied_from"
"""In a manifest: where the folder was when it was last written to, and the ids that it had before it was copied."""


def in_its_place(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of the campaign in a folder, with the place where it is now, and of a copy with an id of its own.

    A folder that is renamed keeps its inode, and a copy has another one. What stands where it stood before is the same, unless
    that other one stands beside it; what came from another file system of this machine is, if nothing is left there. All else
    is a copy: one that is taken for another campaign costs it a second view, and one that is not would write into the original's.
    """
    here, there = _place(folder), manifest.get(PLACE)
    own = {**manifest, PLACE: here}
    if there is None or _is_same(folder, there, here, str(manifest["id"])):
        return own
    number = hashlib.sha256(f"{manifest['id']} {here['host']} {here['inode']}".encode()).hexdigest()[:12]
    return own | {"id": number, COPIED_FROM: [*manifest.get(COPIED_FROM, ()), manifest["id"]]}


def ids_of(manifest: Mapping[str, Any]) -> list[str]:
    """The id of a campaign, and before it those that it had before it was copied."""
    return [*manifest.get(COPIED_FROM, ()), str(manifest["id"])]


def copied(before: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """A sentence where a manifest that was read has become that of a copy; else empty."""
    if before["id"] == manifest["id"]:
        return ""
    there = before[PLACE]
    return (
        f"this is a copy of {there['host']}:{there['folder']}: outside of its folder it is a campaign of its own from now on"
        f" ({manifest['id']}), and what the original has there stays as it is"
    )


def _place(folder: Path) -> dict[str, Any]:
    status = folder.stat()
    return {
        "host": socket.gethostname(),
        "folder": str(folder.resolve()),
        "device": status.st_dev,
        "inode": status.st_ino,
    }


def _is_same(folder: Path, there: Mapping[str, Any], here: Mapping[str, Any], number: str) -> bool:
    same = {name for name in here if here[name] == there.get(name)}
    if "inode" in same:
        return bool(same & {"host", "folder"})
    if "host" not in same:
        return False
    if "folder" in same:  # put back from a backup
        return not _stands_beside(folder, int(there["inode"]))
    return "device" not in same and not _holds(Path(there["folder"]), number)


def _stands_beside(folder: Path, inode: int) -> bool:
    """Whether a folder of an inode is where another one is."""
    try:
        with os.scandir(folder.resolve().parent) as entries:
            return any(entry.inode() == inode and (Path(entry.path) / MANIFEST).exists() for entry in entries)
    except OSError:
        return False


def _holds(folder: Path, number: str) -> bool:
    try:
        return number in ids_of(read_manifest(folder))
    except (UserError, OSError):
        return False
