"""A VCF read twice at once: by htslib, which knows the format, and as the text that it is, which is written again.

What htslib itself writes of a record is another text: numbers lose digits, and values that it can't hold are gone.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pysam

from nrtune.trainables.core.errors import UserError, one_line

FIXED = 8
"""Columns that each record has, to INFO."""


class Variant(NamedTuple):
    """A record: contig, start (0-based), id, ref and alts as it has them, and its whole line without the end."""

    contig: str
    start: int
    id: str | None
    ref: str
    alts: tuple[str, ...]
    line: bytes


class VariantFile:
    """A VCF's records; `header` are its lines once it was read to its end, the last one names the columns.

    By then it has every contig and field that records name without one. Raises UserError wherever the file turns out to be
    none, or torn.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.header: list[bytes] = []

    def __iter__(self) -> Iterator[Variant]:
        if not self._path.is_file():
            why = "is no regular file, and it is read twice" if self._path.exists() else "no such file"
            raise UserError(f"{self._path}: {why}; --vcf takes a VCF, plain or bgzipped")
        records = 0
        try:
            with pysam.VariantFile(str(self._path)) as file:
                known = len(file.header.records)
                lines = _lines(self._path) if file.format == "VCF" else None  # BCF: there is no text but htslib's
                header = str(file.header).encode().splitlines() if lines is None else _header(lines)
                width, samples = header[-1].count(b"\t") + 1, len(file.header.samples)
                for record in file:
                    line = str(record).encode().rstrip() if lines is None else next(lines)
                    columns = line.count(b"\t") + 1
                    if columns < FIXED or (samples and columns != width):
                        raise ValueError(f"a record has {columns} columns, not {width}")
                    contig, start, alts = str(record.contig), record.start, tuple(record.alts or ())
                    if not line.startswith(f"{contig}\t{start + 1}\t".encode()):
                        raise ValueError(
                            f"a record begins with {line[:20]!r}, read as position {start + 1} of {contig}"
                        )
                    yield Variant(contig, start, record.id, str(record.ref), alts, line)
                    records += 1
                added = [str(one).rstrip().encode() for one in list(file.header.records)[known:]]
                self.header = [*header[:-1], *added, header[-1]]
        except NotImplementedError as error:  # htslib seeks in what it reads
            raise UserError(f"{self._path}: is gzipped, not bgzipped; give it plain, or as bgzip writes it") from error
        except (OSError, ValueError, EOFError, zlib.error, StopIteration) as error:
            why = f"{one_line(error, 120) or 'torn'}{f', after {records} records' * (records > 0)}"
            raise UserError(f"{self._path}: can't be read as a VCF, plain or bgzipped ({why})") from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as text:
        for line in text:
            yield line.rstrip(b"\r\n")


def _header(lines: Iterable[bytes]) -> list[bytes]:
    """The lines up to the one that names the columns, which are taken from `lines`."""
    header: list[bytes] = []
    for line in lines:
        header.append(line)
        if not line.startswith(b"##"):
            break
    return header
