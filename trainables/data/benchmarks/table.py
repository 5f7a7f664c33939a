"""Any table of variants with a measured effect: by coordinates beside a genome, or by the sequences themselves."""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, listing, quoted
from nrtune.trainables.data import tables
from nrtune.trainables.data.benchmarks import ALT, REF, Benchmark, VariantSet
from nrtune.trainables.data.benchmarks._agreement import agreement_findings
from nrtune.trainables.data.benchmarks._columns import (
    NO_NAME,
    check_names,
    numbers,
    text_of,
    whole_numbers,
    without_copies,
)
from nrtune.trainables.data.benchmarks._genome import check_alleles, fasta_beside
from nrtune.trainables.data.benchmarks._pairs import SEQUENCES, of_bases, unrelated, without_equal_alleles
from nrtune.trainables.data.benchmarks._windows import distinct_windows, sequence_windows
from nrtune.trainables.data.cell_lines import asked_for
from nrtune.trainables.data.dataset import array_digest
from nrtune.trainables.data.findings import Finding, by_severity, row_of
from nrtune.trainables.data.genome import open_genome
from nrtune.trainables.data.letters import letter_findings
from nrtune.trainables.data.placed import Placed
from nrtune.trainables.data.streams import begins_with, text_lines
from nrtune.trainables.data.variant_windows import Windows, bases, left_align, variant_windows

BY_COORDINATES = ("chrom", "pos", "ref", "alt")
SELECT, REPORT = "select", "report"


def read_table(path: str | os.PathLike[str], *, length: int = 230, cell_line: str | None = None) -> VariantSet:
    """Read a table of variants: tab- or comma-separated text, plain, .gz or .bz2, with a header, or Parquet.

    Columns, in any order; others are ignored. value: the measured effect, alt less ref, log2 of an MPRA. Either chrom, pos, ref
    and alt: 1-based, alleles of A C G T, with the genome as the one FASTA file beside the table. Or ref_seq and alt_seq: the
    two sequences, of one length, as tables of MPRAs of variants have them; N pads them where the model's is longer. May be
    there: element, what correlations are within and means are over (without it all are one); stratum, a group that is scored by
    itself as well, such as hc and lc; cell_line, of which those asked for are kept; part, select for variants that objectives
    may look at (`table/select/…`), or report; standard_error of the value, which is kept beside the predictions.

    A window is `length` bases, a single base at index length // 2, N beyond what is known; in the alt window what lies behind
    a deletion moves up. By coordinates, indels are left-aligned first: a row's windows are those of the same variant of a VCF,
    wherever in a repeat either is written. Rows that are copies, whose ref and alt are the same, or that lie outside the genome,
    are left out, and are `findings`. cell_line: None for every one in the table.

    Raises UserError for a file that is no such table, an allele that is longer than LONGEST, and where no variant is of the cell
    line.
    """
    path = Path(path)
    wanted = asked_for(cell_line)[0]
    table = _with_numbers(path, _of_cell_line(path, _read_columns(path), wanted))
    by_coordinates = set(BY_COORDINATES) <= set(table)
    table, letters = of_bases(path, table, BY_COORDINATES[2:] if by_coordinates else SEQUENCES)
    table, findings = without_copies(table, path.name)
    findings += letters
    table, found = without_equal_alleles(path, table, BY_COORDINATES[2:] if by_coordinates else SEQUENCES)
    findings += found
    if by_coordinates:
        both, mismatch, identity, found, inside = _from_genome(path, table, length)
        findings = [*found, *findings]
        table = table[inside]
        if table.empty:
            raise UserError(f"{path}: no variant is left; {by_severity(findings)[0]}")
        pos = table["pos"].to_numpy(np.int64)
        ref, alt, chrom = (table[name].to_numpy(np.str_) for name in ("ref", "alt", "chrom"))
        block = None
    else:
        pairs = list(table["ref_seq"]), list(table["alt_seq"])
        both = sequence_windows(*pairs, length, str(path), table.index.tolist())
        findings = [*unrelated(path.name, *pairs, table.index.tolist()), *findings]
        mismatch, pos = np.zeros(len(table), bool), table.index.to_numpy(np.int64) + 1
        ref, alt, chrom = (np.full(len(table), text) for text in (REF, ALT, ""))
        block = pos  # nobody knows which lie close together
        identity = None
    element, elements = _numbered(path, table, "element", NO_NAME.sub("_", _stem(path)))
    stratum, strata = _numbered(path, table, "stratum", "")
    part = _parts(path, table)
    value = table["value"].to_numpy(np.float64)
    error = table["standard_error"].to_numpy(np.float64) if "standard_error" in table else None
    windows, ref_window, alt_window = distinct_windows(both)
    names = np.frombuffer("\n".join((*elements, "", *strata)).encode(), np.uint8)
    return VariantSet(
        benchmark="table",
        title=BENCHMARK.title,
        name=_stem(path),
        assembly="",
        cell_line=wanted or "" if "cell_line" in table else "",
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
        identity=identity,
        block=block,
        ref_mismatch=mismatch,
        windows=windows,
        ref_window=ref_window,
        alt_window=alt_window,
        findings=tuple(findings),
        digest=array_digest(names, element, part, stratum, pos, value, error, windows, ref_window, alt_window),
    )


def _read_columns(path: Path) -> pd.DataFrame:
    """The table's known columns as texts, by their names in lower case."""
    known = ("value", *BY_COORDINATES, *SEQUENCES, "standard_error", "stratum", "element", "cell_line", "part")
    table = tables.read_table(path, "a table of variants, .tsv or .csv")
    table.columns = [_name(str(name)) for name in table.columns]
    if twice := [name for name in known if list(table.columns).count(name) > 1]:
        raise UserError(f"{path}: has column {twice[0]} more than once; keep one")
    if not _has_variants(set(map(str, table))):
        raise UserError(
            f"{path}: needs column value, and either {', '.join(BY_COORDINATES)} or {', '.join(SEQUENCES)}"
            f" (it has {listing(table.columns, 12) or 'none'})"
        )
    if table.empty:
        raise UserError(f"{path}: holds no variants; write them below its header")
    table = table[[name for name in known if name in table]].map(text_of)
    return table


def _header(path: Path) -> list[str]:
    """The names of a table's columns."""
    if begins_with(path, b"PAR1"):
        return [_name(str(name)) for name in tables.read_table(path, "a table").columns]
    lines = text_lines(path, "a table")
    line = next((line for line in lines if line.strip() and not line.startswith("##")), "").lstrip("#").strip("\n\r ")
    return [_name(column) for column in line.split(tables.separator_of(line)) if column.strip()]


def _name(column: str) -> str:
    return column.strip().lstrip("#").strip('"').lower()


def _has_variants(columns: Set[str]) -> bool:
    return "value" in columns and (columns >= set(BY_COORDINATES) or columns >= set(SEQUENCES))


def _with_numbers(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table with numbers where they belong; a standard error may be missing, NaN."""
    table = table.assign(value=numbers(path, table, "value"))
    if "pos" in table:
        table = table.assign(pos=whole_numbers(path, table, "pos").astype(np.int64))
    if "standard_error" in table:
        error = numbers(path, table, "standard_error", missing=True)
        if (error < 0).any():
            row = int((error < 0).argmax())
            raise UserError(
                f"{path}: column standard_error, row {row + 1}: {error[row]:g} is negative; give standard errors"
            )
        table = table.assign(standard_error=error)
    return table


def _numbered(path: Path, table: pd.DataFrame, column: str, default: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """(V,) numbers of a column's names, and the names, sorted; all 0 without the column: one name, or none for strata."""
    if column not in table:
        return np.zeros(len(table), np.uint8), (default,) if default else ()
    if (table[column] == "").any():
        row = int((table[column] == "").argmax())
        raise UserError(
            f"{path}: column {column}, row {table.index[row] + 1}: is empty; fill it in, or leave the column out"
        )
    names = sorted(set(table[column]))
    check_names(f"{path}: column {column}", names)
    return table[column].map({name: number for number, name in enumerate(names)}).to_numpy(np.uint8), tuple(names)


def _parts(path: Path, table: pd.DataFrame) -> NDArray[np.uint8]:
    if "part" not in table:
        return np.zeros(len(table), np.uint8)
    part = table["part"].str.lower()
    wrong = ~part.isin([SELECT, REPORT])
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"{path}: column part, row {table.index[row] + 1}: {quoted(table['part'].iloc[row])!r} is neither {SELECT}"
            f" nor {REPORT}"
        )
    return (part == SELECT).to_numpy().astype(np.uint8)


def _of_cell_line(path: Path, table: pd.DataFrame, wanted: str | None) -> pd.DataFrame:
    """The rows of a cell line: all where the table says none, or none was asked for."""
    if "cell_line" not in table or wanted is None:
        return table
    here = table["cell_line"].str.casefold() == wanted.casefold()
    if not here.any():
        there = listing(sorted(set(table["cell_line"])))
        raise UserError(f"{path}: holds no variant of {quoted(wanted)}; it has {there}; give --cell-line")
    return table[here].reset_index(drop=True)


def _from_genome(
    path: Path, table: pd.DataFrame, length: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int64], list[Finding], NDArray[np.bool_]]:
    """Windows (V, 2, length) of variants inside the genome, ref_mismatch, identity, findings, and (n,) which rows are inside."""
    pos = table["pos"].to_numpy(np.int64)
    inside = np.zeros(len(table), bool)
    both: list[Windows] = []
    mismatch: list[bool] = []
    number_of: dict[tuple[str, int, str, str], int] = {}
    identity: list[int] = []
    genome = open_genome(fasta_beside(path))
    try:
        rows = zip(table["chrom"], pos.tolist(), table["ref"], table["alt"], strict=True)
        for row, (chrom, at, ref, alt) in enumerate(rows):
            where = f"{path}: row {table.index[row] + 1}"
            check_alleles(where, ref, alt)
            size = genome.length(chrom)
            if size is None:
                raise UserError(
                    f"{where}: {genome.path.name} has no {quoted(chrom)}; give the genome that the table is on"
                )
            start = at - 1
            inside[row] = 0 <= start <= size - len(ref)
            if inside[row]:
                fetch = genome.fetcher(chrom)
                mismatch.append(bases(fetch(start, start + len(ref))) != ref)
                both.append(variant_windows(fetch, size, start, ref, alt, length))
                variant = genome.renamed.get(chrom, chrom), *left_align(fetch, start, ref, alt)
                identity.append(number_of.setdefault(variant, len(number_of)))
        element, elements = _numbered(path, table, "element", NO_NAME.sub("_", _stem(path)))
        groups = []
        for number, name in enumerate(elements):
            here = table[element == number]
            where = f"{path.name}, {name}" if "element" in table else path.name
            places = list(zip(here["chrom"], here["pos"].tolist(), strict=True))
            groups.append(Placed.in_genome(genome, where, name, places, here["ref"].tolist(), here["alt"].tolist()))
    finally:
        genome.close()
    windows = np.array([one[:2] for one in both], np.uint8).reshape(-1, 2, length)
    rows_inside = np.flatnonzero(inside)
    letters = letter_findings(
        f"{path.name}, {genome.path.name}",
        np.array([one.uracils > 0 for one in both], bool),
        np.array([one.lower_case > 0 for one in both], bool),
        what="variants' windows",
        example=lambda place: row_of(table.index[rows_inside[place]]),
    )
    return (
        windows,
        np.array(mismatch, bool),
        np.array(identity, np.int64),
        [*agreement_findings(groups), *letters],
        inside,
    )


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _recognises(path: Path) -> bool:
    """Whether a file's header has the columns, whatever the file is called."""
    try:
        return path.is_file() and _has_variants(set(_header(path)))
    except (UserError, OSError):
        return False


BENCHMARK = Benchmark(title="Variant table", read=read_table, recognises=_recognises)
