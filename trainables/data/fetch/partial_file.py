"""A file that is being downloaded: NAME.part grows, and NAME.part.json notes of what it is the beginning."""

from __future__ import annotations

import dataclasses
import fcntl
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import write_atomically

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class ChangedError(Exception):
    """The rest that a server offers is not the rest of what is there."""


class RefusedError(UserError):
    """What a server sends is not the file that was asked for; not worth keeping."""


@dataclasses.dataclass(frozen=True)
class Note:
    """What a part is of: its address, the ETag or time of that content, and its whole size in bytes."""

    url: str
    validator: str | None
    total: int | None


class PartialDownload:
    """What pooch writes into. Nothing is made on disk before a server answers, and one process at a time writes.

    path: of the part. max_bytes: what a whole file may have. size: what it must have, where that is known. label: of the
    progress bar, which is shown where standard error is a terminal.
    """

    def __init__(self, path: Path, url: str, *, max_bytes: int, size: int | None, label: str) -> None:
        self.path, self.begun = path, False
        self._url, self._max_bytes, self._expected, self._label = url, max_bytes, size, label
        self._file: io.FileIO | None = None
        self._bar: Any = None
        self._total: int | None = None

    def begin(self, response: requests.Response) -> None:
        """Take the whole or the rest. Raises ChangedError for a rest of something else, RefusedError, UserError."""
        self.begun = True
        if response.headers.pop("Content-Encoding", "identity") != "identity":
            if not self._url.endswith(".gz"):
                raise RefusedError(f"{self._url}: is sent compressed, though asked for as it is")
            response.raw.headers.pop("Content-Encoding", None)  # what some servers say of a .gz: it is stored so
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = io.FileIO(self.path, "ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise UserError(f"{self.path}: another nrtune data fetch is writing it; wait for that to end") from error
        self._file = file
        offset, self._total, validator = self._offered(response)
        if self._total is not None:
            self._check_size(self._total)
        file.truncate(offset)
        _write_note(self.path, Note(self._url, validator, self._total))
        self._bar = tqdm(total=self._total, initial=offset, desc=self._label, unit="B", unit_scale=True, disable=None)

    def write(self, data: bytes, /) -> int:
        """Append bytes. Raises RefusedError where they become more than the file may have."""
        assert self._file is not None
        left = memoryview(data)
        while left:  # unbuffered: an interruption loses nothing, and a full disk is noticed here
            left = left[self._file.write(left) :]
        self._bar.update(len(data))
        if self._total is None:
            self._check_size(self._file.tell(), whole=False)
        return len(data)

    def flush(self) -> None:
        """Nothing to do: nothing is held back."""

    def finish(self) -> None:
        """Note the size of a whole part where the server had not said it. Raises RefusedError for none or a wrong one."""
        size = part_size(self.path)
        if not size:
            raise RefusedError(f"{self._url}: is empty, so not the file it should be")
        if self._total is None:
            self._check_size(size)
            known = read_note(self.path)
            _write_note(self.path, Note(self._url, known.validator if known else None, size))
        elif size != self._total:
            raise requests.ConnectionError(f"{size} bytes of {self._total}")

    def close(self) -> None:
        """Let go of the file; it stays, if anything is in it."""
        if self._bar is not None:
            self._bar.close()
        if self._file is not None:
            if not part_size(self.path):
                discard(self.path)
            self._file.close()

    def _offered(self, response: requests.Response) -> tuple[int, int | None, str | None]:
        """At which byte the content begins, the whole size, and what tells this content from another."""
        validator = _validator(response)
        if response.status_code == requests.codes.ok:
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdigit() else None, validator
        there, known = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "")), read_note(self.path)
        if response.status_code != requests.codes.partial_content or there is None or known is None:
            raise RefusedError(f"{self._url}: answers {response.status_code} {response.reason} instead of a file")
        first, total = int(there[1]), int(there[2])
        same = None in (validator, known.validator) or validator == known.validator
        if first != part_size(self.path) or known.total not in (None, total) or not same:
            raise ChangedError
        return first, total, validator or known.validator

    def _check_size(self, size: int, whole: bool = True) -> None:
        if size > self._max_bytes:
            raise RefusedError(f"{self._url}: is over {self._max_bytes / 1e6:g} MB, so not the file it should be")
        if whole and self._expected not in (None, size):
            raise RefusedError(f"{self._url}: has {size} bytes, not the published {self._expected}, so it isn't kept")


def part_of(path: Path) -> Path:
    """Where the download of a file grows."""
    return path.with_name(path.name + ".part")


def part_size(part: Path) -> int:
    """Bytes that are there, 0 without a file."""
    return part.stat().st_size if part.exists() else 0


def discard(part: Path) -> None:
    """Delete a part and its note."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def keep(part: Path, target: Path) -> None:
    """Make a whole part the file that it is of: on disk before its name says so."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)
    discard(part)


def read_note(part: Path) -> Note | None:
    """What a part is of; None for one without a note, or with a torn one: it is of no use."""
    try:
        return Note(**json.loads(_note_path(part).read_text()))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def _validator(response: requests.Response) -> str | None:
    """What If-Range may hold: a strong ETag, else the time of the last change."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_note(part: Path, note: Note) -> None:
    text = json.dumps(dataclasses.asdict(note))
    write_atomically(_note_path(part), lambda temporary: temporary.write_text(text))
