"""Single files out of a tar file, written only where they are wanted, whatever the archive says.

pooch's own Untar writes to the paths that the archive names, before Python 3.12 without a filter.
"""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically

_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


class BrokenArchiveError(UserError):
    """An archive that can't be used, and is not worth keeping."""


def unpack(
    archive: Path, wanted: Mapping[str, Path], *, max_bytes: int, name: str, accept: Callable[[Path, Path], None]
) -> None:
    """Write members of a tar file, compressed or not, to the given targets, each whole or not at all.

    wanted: from a member's name, without folders, to its target; one that ends in .gz is compressed where the member is
    not. The first member of a name counts, and nothing behind the last wanted one is read. name: of the archive, for
    errors. accept: called with a target and the file that is about to become it; what it raises keeps that from happening.

    Raises BrokenArchiveError, with nothing written for the member in question, for a file that is no tar file or is torn, that
    lacks a member, has it outside (absolute, ..), or as something else than a plain file, or unpacks to over `max_bytes`.
    """
    left, seen = dict(wanted), []
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                if member.offset_data + member.size > max_bytes:
                    raise BrokenArchiveError(
                        f"{name}: unpacks to more than {max_bytes / 1e9:g} GB; not what it should be"
                    )
                path = PurePosixPath(member.name)
                seen.append(path.name)
                if path.name not in left:
                    continue
                if path.is_absolute() or ".." in path.parts:
                    raise BrokenArchiveError(
                        f"{name}: member {member.name} lies outside the archive; nothing is unpacked"
                    )
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise BrokenArchiveError(f"{name}: member {member.name} is a link or a device, not a file")
                _write(content, path.name, left.pop(path.name), accept)
                if not left:
                    return
    except _BROKEN as error:
        raise BrokenArchiveError(f"{name}: is not a whole tar file ({one_line(error)}); fetch it again") from error
    raise BrokenArchiveError(f"{name}: holds no {', '.join(left)}; it has {', '.join(seen[:10]) or 'nothing'}")


def _write(content: IO[bytes], name: str, target: Path, accept: Callable[[Path, Path], None]) -> None:
    compress = target.suffix == ".gz" and not name.endswith(".gz")

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            if compress:  # without a name and a time: the same content gives the same file
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    shutil.copyfileobj(content, packed, 1 << 20)
            else:
                shutil.copyfileobj(content, file, 1 << 20)
        accept(target, temporary)

    write_atomically(target, write)
