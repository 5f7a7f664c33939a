"""A genome in a FASTA file, read where it is asked for."""

from __future__ import annotations

import codecs
import io
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import pysam
from pysam.utils import SamtoolsError

from nrtune.trainables.core.errors import UserError, one_line, quoted
from nrtune.trainables.core.given import check_file
from nrtune.trainables.data.bgzf import BlockFile
from nrtune.trainables.data.streams import begins_with, text_lines

_WHAT = "the genome that the variants are on, as a FASTA file, plain or bgzipped"
_MITOCHONDRIAL = ("chrM", "MT", "chrMT", "M")
_NO_BASE = re.compile("[^ACGTUNRYSWKMBDHVX]", re.IGNORECASE)
"""What stands for no base and for no several ones (IUPAC; X masks): a gap, a digit, an amino acid."""
_HEADER = 1 << 20
"""Bytes of a header that are looked at."""


class Genome:
    """Contigs of an indexed FASTA file, plain or bgzipped; `open_genome` opens one.

    file: the open file, whose index may lie in `folder`, which is removed in the end. `renamed` has contigs that were found under
    another name: with or without chr, and MT for chrM. set_aside: the index beside the file that was not taken, and why; "" for
    none.
    """

    def __init__(
        self, path: Path, file: pysam.FastaFile, folder: tempfile.TemporaryDirectory[str], set_aside: str = ""
    ) -> None:
        self.path, self._file, self._folder, self.set_aside = path, file, folder, set_aside
        self._lengths = dict(zip(file.references, file.lengths, strict=True))
        self.renamed: dict[str, str] = {}

    @property
    def contigs(self) -> list[str]:
        """Their names, in the file's order."""
        return list(self._lengths)

    def length(self, contig: str) -> int | None:
        """Bases of a contig; None where the file has none of that name, with or without chr."""
        name = self._name(contig)
        return None if name is None else self._lengths[name]

    def fetcher(self, contig: str) -> Callable[[int, int], str]:
        """What gives bases [from, to) of a contig that is there, in the letters of the file.

        It raises UserError where the file has not what its index says, and for letters that are none of DNA.
        """
        name = self._name(contig)

        def fetch(start: int, end: int) -> str:
            if end <= start:
                return ""
            try:
                bases = self._file.fetch(name, start, end)
            except (OSError, ValueError):
                bases = ""
            if len(bases) != end - start:
                raise UserError(
                    f"{self.path}: lacks bases {start + 1} to {end} of {quoted(str(name))}, which its index has; get the file"
                    " anew, or index a copy of it"
                )
            if wrong := _NO_BASE.search(bases):
                raise UserError(
                    f"{self.path}: {quoted(str(name))} has {wrong[0]!r} at {start + wrong.start() + 1}, which is no"
                    f" base; give {_WHAT}"
                )
            return bases

        return fetch

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._folder.cleanup()

    def _name(self, contig: str) -> str | None:
        if contig in self._lengths:
            return contig
        if contig not in self.renamed:
            bare = re.sub("^chr", "", contig, flags=re.IGNORECASE)
            others = _MITOCHONDRIAL if bare in ("M", "MT") else (f"chr{bare}", bare)
            if (there := next((name for name in others if name in self._lengths), None)) is None:
                return None
            self.renamed[contig] = there
        return self.renamed[contig]


def open_genome(path: Path) -> Genome:
    """Open a FASTA file with the index beside it. Where there is none it is made there, or elsewhere where that can't be.

    An index that is older than its file, or another's, or that can't be read, is left as it is, and one is made elsewhere. Raises
    UserError for what is no such file, and one that has a contig twice.
    """
    check_file(path, _WHAT)
    pysam.set_verbosity(0)  # htslib's own messages: what matters is said here
    folder: tempfile.TemporaryDirectory[str] | None = None
    try:
        folder = tempfile.TemporaryDirectory()
        file, set_aside = _open(path, Path(folder.name))
        if not file.references:
            raise UserError(f"{path}: holds no sequence; give {_WHAT}")
    except (OSError, ValueError, SamtoolsError) as error:
        if folder is not None:
            folder.cleanup()
        if isinstance(error, UserError):
            raise
        if isinstance(error, SamtoolsError):  # which says no more than that it failed
            raise UserError(f"{path}: can't be read as a FASTA file, plain or bgzipped ({_why_none(path)})") from error
        raise UserError(f"{path}: can't be read as a FASTA file, plain or bgzipped ({one_line(error, 100)})") from error
    return Genome(path, file, folder, set_aside)


def _open(path: Path, elsewhere: Path) -> tuple[pysam.FastaFile, str]:
    """Open a FASTA file; and which index beside it was not taken, and why."""
    indices = _indices(path)
    there_before = [index for index in indices if index.exists()]
    old = [index for index in there_before if index.stat().st_mtime < path.stat().st_mtime]
    if set_aside := f"{old[0]} is older than {path.name}" if old else "":
        return _open_elsewhere(path, elsewhere), set_aside
    if len(there_before) == len(indices):
        if (file := _with_indices(path, indices)) is None:
            return _open_elsewhere(path, elsewhere), f"{indices[0]} can't be read"
        if _are_of(path, indices):
            return file, ""
        file.close()
        return _open_elsewhere(path, elsewhere), f"{indices[0]} is not that of {path.name}"
    if not any(map(os.path.lexists, indices)):
        try:
            pysam.faidx(str(path))
            _are_of(path, indices)
            return pysam.FastaFile(str(path)), ""
        except (OSError, SamtoolsError):
            for index in indices:  # what a file that turns out to be torn leaves
                index.unlink(missing_ok=True)
    return _open_elsewhere(path, elsewhere), ""


def _with_indices(path: Path, indices: list[Path]) -> pysam.FastaFile | None:
    """A FASTA file opened with the indices beside it; None where they can't be read."""
    if not all(index.is_file() for index in indices):  # a pipe would keep a reader waiting
        return None
    with suppress(OSError, ValueError):
        file = pysam.FastaFile(str(path))
        if file.references:
            return file
        file.close()
    return None


def _open_elsewhere(path: Path, elsewhere: Path) -> pysam.FastaFile:
    """Open a FASTA file with an index that is made in another folder."""
    there = {name: str(elsewhere / f"index.{name}") for name in ("fai", "gzi")}
    pysam.faidx(str(path), "--fai-idx", there["fai"], "--gzi-idx", there["gzi"])
    _are_of(path, [Path(index) for index in there.values()])
    compressed = there["gzi"] if Path(there["gzi"]).exists() else None
    return pysam.FastaFile(str(path), filepath_index=there["fai"], filepath_index_compressed=compressed)


def _indices(path: Path) -> list[Path]:
    """The indices of a FASTA file: a packed one has two."""
    return [path.with_name(path.name + end) for end in ((".fai", ".gzi") if _packed(path) else (".fai",))]


def _packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


class _Entry(NamedTuple):
    """A contig of an index: where its bases begin and end in the file."""

    name: bytes
    start: int
    end: int


def _are_of(path: Path, indices: list[Path]) -> bool:
    """Whether an index has each sequence of a FASTA file where it is, and that of a packed one's blocks each block.

    An index of FASTQ is not looked at. Raises UserError for a file that has two sequences of one name, of which an index has the
    first alone.
    """
    lines = [line.split(b"\t") for line in indices[0].read_bytes().splitlines()]
    if any(len(line) != len(_COLUMNS) for line in lines):
        return bool(lines) and all(len(line) == len(_COLUMNS) + 1 for line in lines)
    try:
        entries = [_entry(*line) for line in lines]
        if not _packed(path):
            with path.open("rb") as file:
                return _has_all(path, file, path.stat().st_size, entries)
        with BlockFile(path) as blocks:
            content = cast(BinaryIO, io.BufferedReader(blocks))
            inside = all(entry.end <= blocks.size for entry in entries)
            return inside and blocks.has_index(indices[1]) and _has_all(path, content, blocks.size, entries)
    except UserError:
        raise
    except (ValueError, ZeroDivisionError):
        return False


_COLUMNS = ("name", "length", "offset", "bases a line", "bytes a line")


def _entry(name: bytes, length: bytes, offset: bytes, bases: bytes, width: bytes) -> _Entry:
    ended, rest = divmod(max(int(length) - 1, 0), int(bases))  # lines before the last
    return _Entry(name, int(offset), int(offset) + ended * int(width) + (rest + 1 if int(length) else 0))


def _has_all(path: Path, file: BinaryIO, size: int, entries: list[_Entry]) -> bool:
    """Whether each sequence of a file, open, has its entry, and each entry is where it is; empty sequences need none.

    size: bytes of its content. A file that ends before its index does is torn, which is said where bases are missing. Raises
    UserError: `_are_of`.
    """
    passed: set[bytes] = set()
    reached = 0
    for entry in (*entries, None):
        name = b""
        while line := file.readline(_HEADER):
            if line.startswith(b">"):
                name = (line[1:].split() or [b""])[0]
                if entry is not None and (name, file.tell()) == entry[:2]:
                    break
            elif line.strip():
                if name in passed:
                    raise UserError(
                        f"{path}: holds {quoted(name.decode('utf-8', 'replace'))!r} twice; keep one of them"
                    )
                return False
        if not line:
            return entry is None or reached > size
        if entry is not None:
            passed.add(name)
            reached = entry.end
            file.seek(reached)
    return True


def _why_none(path: Path) -> str:
    """Why no index can be made of a file."""
    if not begins_with(path, b">"):
        marked = any(begins_with(path, mark) for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return "it begins with a byte-order mark: save it as plain text" if marked else "it does not begin with >"
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if start[:2] == b"\x1f\x8b" and not (start[3] & 4 and start[12:14] == b"BC"):
        return "it is gzipped, not bgzipped: gunzip it, or pack it with bgzip"
    if b"\r" in start and b"\n" not in start:
        return "its lines end in a carriage return alone, as an old Mac's: save it with other line ends"
    return _uneven_line(path) or "no index can be made: it is torn, or the lines of a contig differ in length"


def _uneven_line(path: Path) -> str:
    """Which line keeps a file from being indexed; "" where none does. Raises UserError for one that is torn."""
    name, width, ended, number = "", 0, False, 0
    for number, line in enumerate(text_lines(path, _WHAT), start=1):
        if line.startswith(">"):
            name, width, ended = line[1:61].partition(" ")[0], 0, False
        elif line and (ended or len(line) > width > 0):
            return f"the lines of a contig differ in length: see line {number}, of {name!r}"
        else:
            ended = ended or len(line) < width or not line
            width = width or len(line)
    return "" if width else f"the last sequence, {name!r} in line {number}, is empty: leave it out"
