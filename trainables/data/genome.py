"""A genome in a FASTA file, read where it is asked for."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pysam
from pysam.utils import SamtoolsError

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.given import check_file
from nrtune.trainables.data.streams import begins_with

_WHAT = "the genome that the variants are on, as a FASTA file, plain or bgzipped"
_MITOCHONDRIAL = ("chrM", "MT", "chrMT", "M")


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

    def length(self, contig: str) -> int | None:
        """Bases of a contig; None where the file has none of that name, with or without chr."""
        name = self._name(contig)
        return None if name is None else self._lengths[name]

    def fetcher(self, contig: str) -> Callable[[int, int], str]:
        """What gives bases [from, to) of a contig that is there, in the letters of the file.

        It raises UserError where the file has not what its index says.
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
                    f"{self.path}: lacks bases {start + 1} to {end} of {name}, which its index has; get the file anew,"
                    " or index a copy of it"
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

    An index that is older than its file, or that can't be read, is left as it is, and one is made elsewhere. Raises UserError for
    what is no such file.
    """
    check_file(path, _WHAT)
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
        with suppress(OSError, ValueError):
            file = pysam.FastaFile(str(path))
            if file.references:
                return file, ""
            file.close()
        return _open_elsewhere(path, elsewhere), f"{indices[0]} can't be read"
    if not any(map(os.path.lexists, indices)):
        try:
            pysam.faidx(str(path))
            return pysam.FastaFile(str(path)), ""
        except (OSError, SamtoolsError):
            for index in indices:  # what a file that turns out to be torn leaves
                index.unlink(missing_ok=True)
    return _open_elsewhere(path, elsewhere), ""


def _open_elsewhere(path: Path, elsewhere: Path) -> pysam.FastaFile:
    """Open a FASTA file with an index that is made in another folder."""
    there = {name: str(elsewhere / f"index.{name}") for name in ("fai", "gzi")}
    pysam.faidx(str(path), "--fai-idx", there["fai"], "--gzi-idx", there["gzi"])
    compressed = there["gzi"] if Path(there["gzi"]).exists() else None
    return pysam.FastaFile(str(path), filepath_index=there["fai"], filepath_index_compressed=compressed)


def _indices(path: Path) -> list[Path]:
    """The indices of a FASTA file: a packed one has two."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return [path.with_name(path.name + end) for end in ((".fai", ".gzi") if packed else (".fai",))]


def _why_none(path: Path) -> str:
    """Why no index can be made of a file."""
    if not begins_with(path, b">"):
        return "it does not begin with >"
    with path.open("rb") as file:
        start = file.read(14)
    if start[:2] == b"\x1f\x8b" and not (start[3] & 4 and start[12:14] == b"BC"):
        return "it is gzipped, not bgzipped: gunzip it, or pack it with bgzip"
    return "no index can be made: it is torn, or the lines of a contig differ in length"
