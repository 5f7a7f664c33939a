"""Any table of variants with a measured effect: by coordinates beside a genome, or by the sequences themselves."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Set
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.data.benchmarks import ALT, MOST_NAMES, REF, Benchmark, VariantSet
from nrtune.trainables.data.benchmarks._windows import distinct_windows, sequence_windows
from nrtune.trainables.data.dataset import array_digest
from nrtune.trainables.data.genome import open_genome
from nrtune.trainables.data.variant_windows import LONGEST, bases, trim, variant_windows

BY_COORDINATES, BY_SEQUENCES = ("chrom", "pos", "ref", "alt"), ("ref_seq", "alt_seq")
SELECT, REPORT = "select", "report"
_NO_NAME = r"[^\w\-. :]"
"""What MLflow takes in no name of a metric, and / which parts them."""

_FASTA = (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz")


def read_table(path: str | os.PathLike[str], *, length: int = 230, cell_line: str | None = None) -> VariantSet:
    """Read a table of variants: tab- or comma-separated text, plain or .gz, with a header.

    Columns, in any order; others are ignored. value: the measured effect, alt less ref, log2 of an MPRA. Either chrom, pos, ref
    and alt: 1-based, alleles of A C G T, with the genome as the one FASTA file beside the table. Or ref_seq and alt_seq: the
    two sequences, of one length, as tables of MPRAs of variants have them; N pads them where the model's is longer. May be
    there: element, what correlations are within and means are over (without it all are one); stratum, a group that is scored by
    itself as well, such as hc and lc; cell_line, of which those asked for are kept; part, select for variants that objectives
    may look at (`table/select/…`), or report; standard_error of the value, which is kept beside the predictions.

    A window is `length` bases, a single base at index length // 2, N beyond what is known; in the alt window what lies behind
    a deletion moves up. By coordinates, indels are left-aligned first: a row's windows are those of the same variant of a VCF,
    wherever in a repeat either is written. cell_line: None for every one in the table.

    Raises UserError for a file that is no such table, an allele that is longer than LONGEST, a position outside the genome, and
    where no variant is of the cell line.
    """
    path = Path(path)
    table = _read_columns(path)
    table = _of_cell_line(path, table, cell_line)
    value = _numbers(path, table, "value")
    error = _numbers(path, table, "standard_error", blank=True) if "standard_error" in table else None
    if error is not None and (error < 0).any():
        row = int((error < 0).argmax())
        raise UserError(
            f"{path}: column standard_error, row {row + 1}: {error[row]:g} is negative; give standard errors"
        )
    element, elements = _numbered(path, table, "element", re.sub(_NO_NAME, "_", _stem(path)))
    stratum, strata = _numbered(path, table, "stratum", "")
    part = _parts(path, table)
    by_coordinates = set(BY_COORDINATES) <= set(table)
    if by_coordinates:
        both, mismatch, pos = _from_genome(path, table, length)
        ref, alt, chrom = (table[name].to_numpy(np.str_) for name in ("ref", "alt", "chrom"))
        block = None
    else:
        both = sequence_windows(list(table["ref_seq"]), list(table["alt_seq"]), length, str(path))
        mismatch, pos = np.zeros(len(table), bool), np.arange(1, len(table) + 1, dtype=np.int64)
        ref, alt, chrom = (np.full(len(table), text) for text in (REF, ALT, ""))
        block = pos  # nobody knows which lie close together
    windows, ref_window, alt_window = distinct_windows(both)
    names = np.frombuffer("\n".join((*elements, "", *strata)).encode(), np.uint8)
    notes = [f"{int(mismatch.sum())} variants' ref differ from the genome; kept"] if mismatch.any() else []
    return VariantSet(
        benchmark="table",
        title=BENCHMARK.title,
        name=_stem(path),
        assembly="",
        cell_line=cell_line or "" if "cell_line" in table else "",
        elements=elements,
        matched=elements,
        parts=("", SELECT) if (part == 1).any() else ("",),
        selectable=(SELECT,),
        strata=strata,
        element=element,
        part=part,
        stratum=stratum,
        chrom=chrom,
        pos=pos,
        ref=ref,
        alt=alt,
        value=value,
        standard_error=error,
        block=block,
        ref_mismatch=mismatch,
        windows=windows,
        ref_window=ref_window,
        alt_window=alt_window,
        notes=tuple(notes),
        digest=array_digest(names, element, part, stratum, pos, value, error, windows, ref_window, alt_window),
    )


def _read_columns(path: Path) -> pd.DataFrame:
    """The table's known columns as texts, by their names in lower case."""
    known = ("value", *BY_COORDINATES, *BY_SEQUENCES, "standard_error", "stratum", "element", "cell_line", "part")
    if not path.is_file():
        raise UserError(f"{path}: no such table of variants; give a .tsv or .csv file")
    try:
        table = pd.read_csv(path, sep=_header(path)[1], dtype=str, keep_default_na=False, comment=None)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: can't be read as a table of variants ({one_line(error)})") from error
    table.columns = [_name(re.sub(r"\.\d+$", "", str(name))) for name in table.columns]
    if twice := [name for name in known if list(table.columns).count(name) > 1]:
        raise UserError(f"{path}: has column {twice[0]} more than once; keep one")
    if not _has_variants(set(map(str, table))):
        raise UserError(
            f"{path}: needs column value, and either {', '.join(BY_COORDINATES)} or {', '.join(BY_SEQUENCES)}"
            f" (it has {', '.join(table.columns[:12]) or 'none'})"
        )
    if table.empty:
        raise UserError(f"{path}: holds no variants; write them below its header")
    table = table[[name for name in known if name in table]].map(str.strip)
    return table.assign(**{name: table[name].str.upper() for name in ("ref", "alt") if name in table})


def _header(path: Path) -> tuple[str, str]:
    """A table's first line, and what parts its columns."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        line = file.readline()
    return line, "\t" if "\t" in line else ","


def _name(column: str) -> str:
    return column.strip().lstrip("#").lower()


def _has_variants(columns: Set[str]) -> bool:
    return "value" in columns and (columns >= set(BY_COORDINATES) or columns >= set(BY_SEQUENCES))


def _numbers(path: Path, table: pd.DataFrame, column: str, *, blank: bool = False) -> NDArray[np.float64]:
    """A column's numbers; blank: whether one may be missing, NaN."""
    found = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    wrong = ~np.isfinite(found) & ~((table[column] == "").to_numpy(bool) & blank)
    if wrong.any():
        row = int(wrong.argmax())
        said = table[column].iloc[row]
        raise UserError(
            f"{path}: column {column}, row {row + 1}: {said!r} is not a finite number; mend or remove the row"
        )
    return found


def _numbered(path: Path, table: pd.DataFrame, column: str, default: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """(V,) numbers of a column's names, and the names, sorted; all 0 without the column: one name, or none for strata."""
    if column not in table:
        return np.zeros(len(table), np.uint8), (default,) if default else ()
    if (table[column] == "").any():
        row = int((table[column] == "").argmax())
        raise UserError(f"{path}: column {column}, row {row + 1}: is empty; fill it in, or leave the column out")
    names = sorted(set(table[column]))
    if wrong := [name for name in names if re.search(_NO_NAME, name) or name in ("all", "mean")]:
        raise UserError(f"{path}: column {column}: {wrong[0]!r} can't be a name here; metrics are named with it")
    if len(names) > MOST_NAMES:
        raise UserError(f"{path}: column {column} has {len(names)} names; up to {MOST_NAMES} can be told apart")
    return table[column].map({name: number for number, name in enumerate(names)}).to_numpy(np.uint8), tuple(names)


def _parts(path: Path, table: pd.DataFrame) -> NDArray[np.uint8]:
    if "part" not in table:
        return np.zeros(len(table), np.uint8)
    wrong = ~table["part"].isin([SELECT, REPORT])
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"{path}: column part, row {row + 1}: {table['part'].iloc[row]!r} is neither {SELECT} nor {REPORT}"
        )
    return (table["part"] == SELECT).to_numpy().astype(np.uint8)


def _of_cell_line(path: Path, table: pd.DataFrame, wanted: str | None) -> pd.DataFrame:
    """The rows of a cell line: all where the table says none, or none was asked for."""
    if "cell_line" not in table or wanted is None:
        return table
    here = table["cell_line"] == wanted
    if not here.any():
        there = ", ".join(sorted(set(table["cell_line"])))
        raise UserError(f"{path}: holds no variant of {wanted}; it has {there}; give --cell-line")
    return table[here].reset_index(drop=True)


def _from_genome(
    path: Path, table: pd.DataFrame, length: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int64]]:
    """(V, 2, length) windows, whether each ref differs from the genome, and (V,) positions."""
    pos = _numbers(path, table, "pos")
    both = np.empty((len(table), 2, length), np.uint8)
    mismatch = np.zeros(len(table), bool)
    genome = open_genome(_fasta_beside(path))
    try:
        rows = zip(table["chrom"], pos, table["ref"], table["alt"], strict=True)
        for row, (chrom, at, ref, alt) in enumerate(rows):
            where = f"{path}: row {row + 1}"
            _check_alleles(where, ref, alt)
            size = genome.length(chrom)
            if size is None:
                raise UserError(f"{where}: {genome.path.name} has no {chrom}; give the genome that the table is on")
            if at != np.rint(at) or not 1 <= at <= size - len(ref) + 1:
                raise UserError(f"{where}: position {at:g} lies outside {chrom} ({size} bases); positions are 1-based")
            start, fetch = int(at) - 1, genome.fetcher(chrom)
            mismatch[row] = bases(fetch(start, start + len(ref))) != ref
            both[row] = variant_windows(fetch, size, start, ref, alt, length)[:2]
    finally:
        genome.close()
    return both, mismatch, pos.astype(np.int64)


def _check_alleles(where: str, ref: str, alt: str) -> None:
    if not ref or not alt or set(ref + alt) - set("ACGT"):
        raise UserError(f"{where}: has alleles {ref!r} and {alt!r}; each must be of A C G T")
    if ref == alt:
        raise UserError(f"{where}: ref and alt are both {ref}; remove the row")
    if max(map(len, trim(0, ref, alt)[1:])) > LONGEST:
        raise UserError(f"{where}: its alleles differ in more than {LONGEST} bases; remove the row")


def _fasta_beside(path: Path) -> Path:
    found = sorted(other for other in path.parent.iterdir() if other.name.endswith(_FASTA))
    if len(found) != 1:
        there = f"there are {', '.join(other.name for other in found)}" if found else "there is none"
        raise UserError(
            f"{path}: is by coordinates, and the genome must be the one FASTA file beside it ({there}); put it there,"
            f" or give columns {', '.join(BY_SEQUENCES)}"
        )
    return found[0]


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _recognises(path: Path) -> bool:
    """Whether a file's header has the columns."""
    if not path.is_file() or not path.name.endswith((".tsv", ".csv", ".tsv.gz", ".csv.gz", ".txt")):
        return False
    try:
        line, separator = _header(path)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        return False
    return _has_variants({_name(column) for column in line.split(separator)})


BENCHMARK = Benchmark(title="Variant table", read=read_table, recognises=_recognises)
