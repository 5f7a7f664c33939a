"""A genome in a FASTA file, read where it is asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pysam
from pysam.utils import SamtoolsError

from nrtune.trainables.core.errors import UserError, one_line


class Genome:
    """Contigs of an indexed FASTA file, plain or bgzipped; `open_genome` opens one.

    file: the open file, whose index may lie in `folder`, which is removed in the end. `renamed` has contigs that were found under
    another name, with or without chr.
    """

    def __init__(self, path: Path, file: pysam.FastaFile, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.path, self._file, self._folder = path, file, folder
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
                    f" or delete {_indices(self.path)[0]}"
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
        other = contig.removeprefix("chr") if contig.startswith("chr") else f"chr{contig}"
        if other in self._lengths:
            self.renamed[contig] = other
            return other
        return None


def open_genome(path: Path) -> Genome:
    """Open a FASTA file; an index is made beside it, or elsewhere where that can't be.

    Raises UserError for what is no such file, and for an index that is older than its file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; --fasta takes the genome that the VCF is on")
    indices = _indices(path)
    for index in indices:
        if index.exists() and index.stat().st_mtime < path.stat().st_mtime:
            raise UserError(f"{index}: is older than the FASTA file that it is of; delete it, and it is made anew")
    folder = tempfile.TemporaryDirectory()
    try:
        file = _open(path, Path(folder.name))
        if not file.references:
            raise UserError(f"{path}: holds no sequence; --fasta takes the genome that the VCF is on")
    except (OSError, ValueError, SamtoolsError) as error:
        folder.cleanup()
        if isinstance(error, UserError):
            raise
        why = one_line(error, 100)
        if isinstance(error, SamtoolsError):  # which says no more than that it failed
            why = "no index can be made: it is torn, gzipped, or the lines of a contig differ in length"
        elif any(index.exists() for index in indices):
            why += f"; or delete {indices[0]}, and it is made anew"
        raise UserError(f"{path}: can't be read as a FASTA file, plain or bgzipped ({why})") from error
    return Genome(path, file, folder)


def _indices(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in (".fai", ".gzi")]


def _open(path: Path, elsewhere: Path) -> pysam.FastaFile:
    """Open a FASTA file with its index, made now if there is none: beside it or, where that can't be, in another folder."""
    indices = _indices(path)
    if indices[0].exists():
        return pysam.FastaFile(str(path))
    there_before = [index for index in indices if index.exists()]
    try:
        pysam.faidx(str(path))
        return pysam.FastaFile(str(path))
    except (OSError, SamtoolsError):
        if indices[0].exists():
            raise
        for index in indices:  # what a file that turns out to be torn leaves
            if index not in there_before:
                index.unlink(missing_ok=True)
    there = {name: str(elsewhere / f"index.{name}") for name in ("fai", "gzi")}
    pysam.faidx(str(path), "--fai-idx", there["fai"], "--gzi-idx", there["gzi"])
    compressed = there["gzi"] if Path(there["gzi"]).exists() else None
    return pysam.FastaFile(str(path), filepath_index=there["fai"], filepath_index_compressed=compressed)
