"""Text files that users give and that may be too large to be held: read a line at a time, packed or not, whatever their names."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.given import check_file

_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends a bgzipped file: without it the file is torn, though every block that is there is whole."""

_START = 1 << 16

LONGEST_LINE = 1 << 28
"""Bytes of a line: a record of a million samples has a tenth."""

MOST_BLANK = 1 << 20
"""Bytes of nothing but empty lines, one after another."""


class _Bounded(io.RawIOBase):
    """A file's content as `unpacked` opens it, refused before it fills the memory, or takes for ever: see `text_lines`."""

    def __init__(self, path: Path) -> None:
        self._path, self._content = path, unpacked(path)
        self._line = self._blank = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._content.read(len(buffer))
        buffer[: len(piece)] = piece
        ended = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        self._line = len(piece) - 1 - ended if ended >= 0 else self._line + len(piece)
        self._blank = 0 if piece.strip() else self._blank + len(piece)
        if self._blank > MOST_BLANK:
            raise UserError(
                f"{self._path}: has more than {MOST_BLANK:,} empty lines in a row, as no text has; fetch it again"
            )
        if self._line > LONGEST_LINE:
            raise UserError(
                f"{self._path}: has a line of more than {LONGEST_LINE:,} bytes, as no text has; fetch it again"
            )
        return len(piece)

    def close(self) -> None:
        self._content.close()
        super().close()


def text_lines(path: Path, what: str) -> Iterator[str]:
    """The lines of a text file, without their ends (of Unix, Windows or an old Mac) and a byte-order mark.

    It may be gzipped, bgzipped or bzip2ed. Bytes that are no UTF-8 become lone surrogates, as os.fsencode takes them. Raises
    UserError for what `check_file` refuses, what is no text, a packed file that is torn, a line of more than LONGEST_LINE and
    more than MOST_BLANK empty ones.
    """
    check_file(path, what)
    try:
        check_end(path)
        with unpacked(path) as content:
            if b"\0" in content.read(_START):  # else a binary file is read on to its first end of a line
                raise UserError(f"{path}: is no text, or text in UTF-16; give {what}, as UTF-8")
        with (
            io.BufferedReader(_Bounded(path), _START) as content,
            io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape") as text,
        ):
            for line in text:
                if "\0" in line:
                    raise UserError(f"{path}: is no text, or text in UTF-16; give {what}, as UTF-8")
                yield line.removesuffix("\n")
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is torn or damaged"
        raise UserError(f"{path}: can't be read to its end ({why}); write or fetch it again") from error


def begins_with(path: Path, magic: bytes) -> bool:
    """Whether a file's content, unpacked where it is packed, begins with some bytes."""
    try:
        with unpacked(path) as content:
            return content.read(len(magic)) == magic
    except (OSError, EOFError, zlib.error):
        return False


def unpacked(path: Path) -> BinaryIO:
    """A file's content, unpacked where it is packed."""
    with path.open("rb") as file:
        magic = file.read(3)
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.open(path))
    return cast(BinaryIO, bz2.open(path)) if magic == b"BZh" else path.open("rb")


def readable(text: str) -> str:
    """A text of `text_lines` as it may be shown: bytes that are no UTF-8 are taken for Latin-1."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text


def check_end(path: Path) -> None:
    """See that a bgzipped file has its last block. Raises UserError."""
    with path.open("rb") as file:
        start = file.read(18)
        if start[:4] != b"\x1f\x8b\x08\x04" or start[12:14] != b"BC":
            return
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - len(_BGZF_END), 0))
        if file.read() != _BGZF_END:
            raise UserError(f"{path}: is torn, as the block that ends a bgzipped file is missing; fetch it again")
