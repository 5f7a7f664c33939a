"""A VCF read as the text that it is, which is written again: what htslib writes of a record is another text.

Numbers would lose digits, and values that it can't hold would be gone. A binary one (BCF) is read by htslib, as there is no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pysam

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.given import check_file
from nrtune.trainables.data.streams import begins_with, readable, text_lines

COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
"""What each record has; the last three may be missing in a file, and are '.' then."""

_NEEDED = 5
_FARTHEST = 2**31 - 1
_LONGEST_HEADER = 1_000_000
_POSITION = re.compile("[0-9]{1,20}")
_WHAT = "a VCF, plain or bgzipped"
_SECTIONS = ("contig", "FILTER", "INFO", "FORMAT")


class Variant(NamedTuple):
    """A record: contig, start (0-based), id, ref and alts as it has them, and its whole line, with all of COLUMNS."""

    contig: str
    start: int
    id: str | None
    ref: str
    alts: tuple[str, ...]
    line: str


class VariantFile:
    """A VCF's records. Once they were read, `header` are its lines, the last one names the columns; `blank` lines were empty.

    The header has by then every contig and field that records name without one. Raises UserError, with the line, wherever the
    file turns out to be none, or torn.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.header: list[str] = []
        self.blank = 0

    def __iter__(self) -> Iterator[Variant]:
        self.blank = 0
        header: list[str] = []
        named: list[str] | None = None
        names = _Names()
        for number, line in enumerate(_lines(self._path), start=1):
            if not line.strip():
                self.blank += 1
            elif named is None and line.startswith("##"):
                header.append(line)
                if len(header) > _LONGEST_HEADER:
                    raise UserError(f"{self._path}: has more than {_LONGEST_HEADER:,} lines of header; give {_WHAT}")
            elif named is None:
                named = self._named(number, line)
                names.described(header)
            else:
                yield self._variant(number, line, len(named), names)
        if named is None:
            raise UserError(
                f"{self._path}: has no line that begins with #CHROM, which names a VCF's columns; give {_WHAT}"
            )
        if not any(line.startswith("##fileformat=") for line in header):
            header.insert(0, "##fileformat=VCFv4.2")
        self.header = [*header, *names.lines(), "\t".join((*COLUMNS, *named[len(COLUMNS) :]))]

    def _named(self, number: int, line: str) -> list[str]:
        """The columns that the header's last line names."""
        where = f"{self._path}: line {number}"
        tabs, spaces = (re.split(by, line.rstrip()) for by in ("\t", r"\s+"))
        upper = [name.strip().upper() for name in tabs]
        if len(upper) >= _NEEDED and tuple(upper[: len(COLUMNS)]) == COLUMNS[: len(upper)]:
            return tabs
        if spaces[0].upper() == "#CHROM" and len(spaces) > len(tabs):
            raise UserError(f"{where}: has spaces between columns; a VCF has tabs there")
        if not line.replace("\t", "").isprintable():
            raise UserError(f"{self._path}: is no text; give {_WHAT}")
        if line.startswith("#"):
            raise UserError(
                f"{where}: begins with {line[:40]!r}; the line that names a VCF's columns is {' '.join(COLUMNS)}, with tabs"
            )
        raise UserError(
            f"{where}: comes before any line that begins with #CHROM; put {' '.join(COLUMNS)}, with tabs, above the records"
            f" of a VCF (it is {line[:40]!r})"
        )

    def _variant(self, number: int, line: str, width: int, names: _Names) -> Variant:
        where = f"{self._path}: line {number}"
        columns = line.split("\t", len(COLUMNS))
        found = line.count("\t") + 1
        if line.startswith("#"):
            raise UserError(f"{where}: is a header's line among records; leave it out (bcftools concat joins VCFs)")
        if found < _NEEDED and len(line.split()) >= _NEEDED:
            raise UserError(f"{where}: has spaces between columns; a VCF has tabs there")
        if found < _NEEDED or (width > len(COLUMNS) and found != width):
            named = f"the line that names them {width}" if width > len(COLUMNS) else f"a VCF {len(COLUMNS)}"
            raise UserError(f"{where}: has {found} columns, {named}; mend the line or leave it out")
        if found < len(COLUMNS):
            columns += ["."] * (len(COLUMNS) - found)
            line = "\t".join(columns)
        contig, position, id_, ref, alt = (column.strip() for column in columns[:_NEEDED])
        if not (_POSITION.fullmatch(position) and int(position) <= _FARTHEST):
            raise UserError(f"{where}: POS is {position[:40]!r}; give a whole number, 1 for a contig's first base")
        alts = () if alt in ("", ".") else tuple(alt.split(","))
        for name, value in (("CHROM", contig), ("REF", ref), *(("an ALT", one) for one in alts)):
            if not value:
                raise UserError(f"{where}: {name} is empty; fill it in, or leave the line out")
        names.used(contig, columns)
        return Variant(contig, int(position) - 1, None if id_ in ("", ".") else readable(id_), ref, alts, line)


class _Names:
    """Contigs and fields that a header describes, and those that records name without that."""

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {section: set() for section in _SECTIONS}
        self._added: list[str] = []

    def described(self, header: Sequence[str]) -> None:
        for line in header:
            if found := re.match(rf"##({'|'.join(_SECTIONS)})=<(?:.*?,)?ID=([^,>]+)", line):
                self._known[found[1]].add(found[2])

    def used(self, contig: str, columns: Sequence[str]) -> None:
        """Take in the columns of a record, what is behind INFO as one."""
        self._add("contig", contig, "")
        for name in columns[6].split(";"):
            if name not in ("PASS", ".", "0"):
                self._add("FILTER", name, ',Description="Not described"')
        for field in columns[7].split(";"):
            name, equals, _ = field.partition("=")
            if not name.startswith("NRTUNE_"):
                kind = "Number=.,Type=String" if equals else "Number=0,Type=Flag"
                self._add("INFO", name, f',{kind},Description="Not described"')
        if len(columns) > len(COLUMNS):
            for name in columns[-1].partition("\t")[0].split(":"):
                self._add("FORMAT", name, ',Number=.,Type=String,Description="Not described"')

    def lines(self) -> list[str]:
        return self._added

    def _add(self, section: str, name: str, rest: str) -> None:
        if name in self._known[section]:
            return
        self._known[section].add(name)
        if re.fullmatch(r"[^\s<>,;=\"]+" if section == "contig" else r"[A-Za-z_][\w.]*", name):
            self._added.append(f"##{section}=<ID={name}{rest}>")


def _lines(path: Path) -> Iterator[str]:
    check_file(path, f"{_WHAT}, to --vcf")
    if not begins_with(path, b"BCF\x02"):
        yield from text_lines(path, f"{_WHAT}, to --vcf")
        return
    try:
        with pysam.VariantFile(str(path)) as file:
            yield from str(file.header).splitlines()
            for record in file:
                yield str(record).rstrip("\r\n")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: is a damaged BCF file; write or fetch it again") from error
