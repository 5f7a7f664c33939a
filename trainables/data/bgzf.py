"""A bgzipped file read from any place, and its index of blocks (.gzi) compared with it."""

from __future__ import annotations

import io
import os
import struct
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import Any

_HEADER, _TRAILER = 18, 8
_END = b"\x1f\x8b\x08\x04"


class BlockFile(io.RawIOBase):
    """The content of a bgzipped file, which may be sought in: `starts` has each block's, (in the file, in the content).

    Raises ValueError for a file that is not whole blocks.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._place = 0
        self.starts: list[tuple[int, int]] = []
        self.size = at = 0
        end = os.fstat(self._file.fileno()).st_size
        while at < end:
            header = self._bytes(at, _HEADER)
            if header[:4] != _END or header[12:14] != b"BC" or len(header) < _HEADER:
                raise ValueError(f"no block begins at {at}")
            self.starts.append((at, self.size))
            at += struct.unpack("<H", header[16:18])[0] + 1
            if at > end:
                raise ValueError("the last block is torn")
            self.size += struct.unpack("<I", self._bytes(at - 4, 4))[0]
        self._content = [start for _, start in self.starts]

    def readable(self) -> bool:
        """It may be read."""
        return True

    def seekable(self) -> bool:
        """It may be sought in."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the content."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read what is left of the block at this place, or less. Raises ValueError for a damaged block."""
        if self._place >= self.size:
            return 0
        at, first = self.starts[bisect_right(self._content, self._place) - 1]
        size = struct.unpack("<H", self._bytes(at + 16, 2))[0] + 1
        try:
            content = zlib.decompress(self._bytes(at + _HEADER, size - _HEADER - _TRAILER), wbits=-15)
        except zlib.error as error:
            raise ValueError(f"the block at {at} is damaged") from error
        piece = content[self._place - first :][: len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def has_index(self, index: Path) -> bool:
        """Whether an index of blocks is that of this file: each block of it but the first, and an empty last one, is there."""
        content = index.read_bytes()
        if len(content) % 16 != 8 or struct.unpack("<Q", content[:8])[0] != len(content) // 16:
            return False
        there = set(struct.iter_unpack("<QQ", content[8:]))
        return {(at, start) for at, start in self.starts[1:] if start < self.size} <= there <= set(self.starts)

    def _bytes(self, at: int, count: int) -> bytes:
        return os.pread(self._file.fileno(), count, at)
