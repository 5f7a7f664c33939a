"""Fetch data sets of the catalogue into a folder: from their sources, or from a mirror of such a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.data.fetch.archive import BrokenArchiveError, unpack
from nrtune.trainables.data.fetch.catalogue import MEGABYTE, Archive, Catalogue, DataSet, File
from nrtune.trainables.data.fetch.checksums import ChecksumStore, check
from nrtune.trainables.data.fetch.download import OfflineError, download, read_small
from nrtune.trainables.data.fetch.partial_file import discard, part_of
from nrtune.trainables.data.fetch.reference_windows import fetch_windows


def fetch(
    sets: Iterable[DataSet],
    folder: Path,
    *,
    catalogue: Catalogue,
    mirror: str | None = None,
    say: Callable[[str], object] = lambda sentence: None,
) -> list[Path]:
    """Fetch what `folder` lacks of the data sets; returns the files that were fetched, none if all were there.

    mirror: address below which every file lies at its mirror path. say: is told of each file that has come.
    What has come stays, checksum recorded, whatever becomes of the rest; an interrupted download is gone on with.

    Raises UserError, one sentence: a server that can't be reached or hasn't got a file, a wrong size or checksum, a file
    that was changed in the folder, a folder that can't be written.
    """
    shelf = ChecksumStore(folder)
    wanted = {file.path: file for data in sets for file in data.files}
    try:
        missing = [file for file in wanted.values() if not shelf.holds(file)]
        if mirror is not None:
            _from_mirror(missing, shelf, _address(mirror), say)
        else:
            _from_sources(missing, shelf, catalogue, say)
    except OSError as error:  # none of a server: those are UserErrors by now
        why = error.strerror or one_line(error)
        raise UserError(f"{error.filename or folder}: can't be written or read ({why}); give another --to") from error
    return [shelf.path(file) for file in missing]


def _address(mirror: str) -> str:
    if not re.match(r"https?://[^/]", mirror):
        raise UserError(f"--mirror {mirror}: give an address that begins with http:// or https://")
    if "@" in urlsplit(mirror).netloc:
        raise UserError(
            "--mirror: an address is shown and kept, so no name or password may be in it; write them into ~/.netrc"
        )
    return mirror.rstrip("/")


def _from_mirror(files: Iterable[File], shelf: ChecksumStore, mirror: str, say: Callable[[str], object]) -> None:
    for file in files:
        _one_file(file, [f"{mirror}/{path}" for path in file.mirror_paths], shelf, say)


def _from_sources(files: list[File], shelf: ChecksumStore, catalogue: Catalogue, say: Callable[[str], object]) -> None:
    for file in files:
        if not file.has_source:
            raise UserError(f"{file.path}: no public source has it; give --mirror URL of a server that does")
    for file in files:
        if file.urls:
            _one_file(file, list(file.urls), shelf, say)
    for name, archive in catalogue.archives.items():
        if members := [file for file in files if file.archive == name]:
            _from_archive(archive, members, shelf, say)
    if windows := [file for file in files if file.windows]:
        text = fetch_windows(catalogue.windows, read_small)
        for file in windows:
            _written(file, text, shelf, catalogue.windows.url)
            say(f"{shelf.path(file)}: {len(catalogue.windows.elements)} windows of {catalogue.windows.genome}")


def _one_file(file: File, urls: list[str], shelf: ChecksumStore, say: Callable[[str], object]) -> None:
    path = shelf.path(file)
    part = part_of(path)
    url = download(urls, part, max_bytes=file.max_mb * MEGABYTE, label=path.name)
    shelf.take(part, file, url)
    say(f"{path}: {path.stat().st_size} bytes from {url}")


def _from_archive(archive: Archive, files: list[File], shelf: ChecksumStore, say: Callable[[str], object]) -> None:
    """Download an archive once, unpack what is wanted, delete it; it stays where something else than itself is wrong."""
    size, checksum = _published(archive, say)
    part = part_of(shelf.folder / archive.name)
    url = download(archive.urls, part, max_bytes=archive.max_mb * MEGABYTE, size=size, label=archive.name)
    by_target = {shelf.path(file): file for file in files}

    def accept(target: Path, content: Path) -> None:
        file = by_target[target]
        shelf.accept(target, content, file, f"{archive.name}: {file.member}")
        say(f"{target}: {content.stat().st_size} bytes of {url}")

    try:
        check(part, checksum, url)
    except UserError:
        discard(part)
        raise
    try:
        wanted = {str(file.member): shelf.path(file) for file in files}
        unpack(part, wanted, max_bytes=archive.unpacked_max_mb * MEGABYTE, name=url, accept=accept)
    except BrokenArchiveError:
        discard(part)
        raise
    discard(part)


def _published(archive: Archive, say: Callable[[str], object]) -> tuple[int | None, str | None]:
    """Size and checksum that the archive's record has, or the catalogue; None where neither says."""
    if archive.record is None or archive.checksum is not None:
        return None, archive.checksum
    try:
        files = json.loads(read_small(archive.record))["files"]
        entry = next(item for item in files if item.get("key", item.get("filename")) == archive.name)
        digest = str(entry["checksum"]).removeprefix("md5:")
        return int(entry.get("size", entry.get("filesize"))), f"md5:{digest}"
    except OfflineError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:  # a UserError is a ValueError
        say(
            f"{archive.record}: gives no checksum of {archive.name} ({one_line(error)}); that of this fetch is recorded"
        )
        return None, None


def _written(file: File, text: str, shelf: ChecksumStore, where: str) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")
        shelf.accept(shelf.path(file), temporary, file, where)

    write_atomically(shelf.path(file), write)
