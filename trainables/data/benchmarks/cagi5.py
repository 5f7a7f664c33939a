"""CAGI5: variants of regulatory elements by saturation mutagenesis, with a part that may be looked at."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, quoted
from nrtune.trainables.core.given import list_files
from nrtune.trainables.data.benchmarks import Benchmark, VariantSet
from nrtune.trainables.data.benchmarks._agreement import agreement_findings, of_chrom, other_sequences, ref_is_alt
from nrtune.trainables.data.benchmarks._columns import check_names, numbers, whole_numbers, without_copies
from nrtune.trainables.data.benchmarks._windows import (
    REFERENCES,
    distinct_windows,
    letters_of_references,
    padded_reference,
    read_references,
    told_cell_lines,
)
from nrtune.trainables.data.cell_lines import cell_line_of, match_elements
from nrtune.trainables.data.dataset import array_digest
from nrtune.trainables.data.findings import by_severity
from nrtune.trainables.data.letters import letter_findings
from nrtune.trainables.data.placed import Placed
from nrtune.trainables.data.sequences import BASES, N_TOKEN, to_tokens
from nrtune.trainables.data.tables import read_text
from nrtune.trainables.data.variant_windows import bases

HIGH_CONFIDENCE = 0.1
"""The challenge's threshold: high confidence is at least this."""

PARTS = ("release", "challenge")
"""The challenge's training variants, about a quarter of each element, and the rest."""

_FILE_NAME = re.compile(r"^(release|challenge)_(.+?)\.tsv(?:\.gz|\.bz2)?$")
_COLUMNS = ("Chrom", "Pos", "Ref", "Alt", "Value", "Confidence")
_FOLDER = "the folder that holds challenge_ELEMENT.tsv, release_ELEMENT.tsv and references.json"


def read_cagi5(folder: str | os.PathLike[str], *, length: int = 230, cell_line: str | None = None) -> VariantSet:
    """Read release_ELEMENT.tsv and challenge_ELEMENT.tsv, of any elements, with references.json beside them.

    A window is `length` bases of the element's reference, the variant at index length // 2, N beyond the reference;
    the ref window carries the table's Ref, so that it differs from the alt window in the allele alone even where Ref
    differs from the reference (such variants are kept, and counted in ref_mismatch). Rows that are copies of another, that have
    the same Ref and Alt, or lie outside their reference are left out, and are `findings`.

    cell_line: NAME, ELEMENT=NAME,… or both, as of `match_elements`; None for K562, or the one that all elements are of.
    Raises UserError for a missing or malformed file and where no element belongs to the cell line.
    """
    folder = Path(folder)
    files = _files(folder)
    references = read_references(folder / REFERENCES)
    findings = letters_of_references(folder.name, {name: references[name] for name, *_ in files if name in references})
    tables: dict[str, list[pd.DataFrame]] = {}
    placed: list[Placed] = []
    for name, part, path in files:
        if name not in references:
            raise UserError(f"{folder / REFERENCES}: has no sequence for {name}, which {path.name} needs")
        where = f"{folder.name}, {name} {part}"
        table = _read_variants(path)
        findings += letter_findings(where, table.pop("rna").to_numpy(bool), what="alleles")
        table, found = without_copies(table, where)
        same = (table["Ref"] == table["Alt"]).to_numpy(bool)
        findings += [*found, *ref_is_alt(where, same, _first(table[same])), *of_chrom(where, table, references[name])]
        table = table[~same].assign(element=name, part=PARTS.index(part))
        one = _placed(where, name, table, references)
        placed.append(one)
        tables.setdefault(name, []).append(table[one.known])
    findings = [*agreement_findings(placed), *findings]
    elements = tuple(name for name, parts in tables.items() if any(map(len, parts)))
    if not elements:
        raise UserError(f"{folder}: no variant is left; {by_severity(findings)[0]}")
    matched = match_elements(str(folder), elements, cell_line, told_cell_lines(references), left_out=tables)
    table = pd.concat([part for name in elements for part in tables[name]], ignore_index=True)
    built = [_windows_of(table[table["element"] == name], references[name], length) for name in elements]
    both = np.concatenate([pair for pair, _ in built])  # (V, 2, length): ref and alt window
    windows, ref_window, alt_window = distinct_windows(both)
    element = table["element"].map({name: number for number, name in enumerate(elements)}).to_numpy().astype(np.uint8)
    part_of = table["part"].to_numpy(np.uint8)
    pos, value = table["Pos"].to_numpy(np.int64), table["Value"].to_numpy(np.float64)
    confidence = table["Confidence"].to_numpy(np.float64)
    names = np.frombuffer("\n".join((matched.cell_line, *elements)).encode(), np.uint8)
    return VariantSet(
        benchmark="cagi5",
        title=BENCHMARK.title,
        name=folder.name,
        assembly="hg19",
        cell_line=matched.cell_line,
        elements=elements,
        matched=matched.elements,
        parts=PARTS,
        selectable=("release",),
        strata=("hc", "lc"),
        element=element,
        part=part_of,
        stratum=(confidence < HIGH_CONFIDENCE).astype(np.uint8),
        chrom=np.array([str(references[name]["chrom"]) for name in elements])[element],
        pos=pos,
        ref=table["Ref"].to_numpy(np.str_),
        alt=table["Alt"].to_numpy(np.str_),
        value=value,
        ref_mismatch=np.concatenate([wrong for _, wrong in built]),
        windows=windows,
        ref_window=ref_window,
        alt_window=alt_window,
        columns={"confidence": confidence},
        findings=(*findings, *matched.findings),
        digest=array_digest(names, element, part_of, pos, value, confidence, windows, ref_window, alt_window),
    )


def _files(folder: Path) -> list[tuple[str, str, Path]]:
    """Element, part and path of each file, sorted. Raises UserError for a folder that has none, or one twice."""
    found = sorted(
        (match.group(2), match.group(1), path)
        for path in list_files(folder, _FOLDER)
        if (match := _FILE_NAME.match(path.name))
    )
    if not found:
        raise UserError(f"{folder}: holds no challenge_ELEMENT.tsv and no release_ELEMENT.tsv; give {_FOLDER}")
    for one, other in itertools.pairwise(found):
        if one[:2] == other[:2]:
            raise UserError(f"{folder}: holds {one[2].name} and {other[2].name}; keep one of them")
    check_names(str(folder), dict.fromkeys(name for name, *_ in found))
    return found


def _read_variants(path: Path) -> pd.DataFrame:
    lines = read_text(path, "a file of CAGI5, tab-separated text").splitlines()
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("##")]
    apart = next((sign for sign in "\t,;" if lines and sign in lines[0]), None)
    header = [name.strip(' "#').lower() for name in lines[0].split(apart)] if lines else []
    if sorted(name for name in header if name in map(str.lower, _COLUMNS)) != sorted(map(str.lower, _COLUMNS)):
        raise UserError(f"{path}: its header must be #{' '.join(_COLUMNS)}, tab-separated")
    rows = [[cell.strip().strip('"') for cell in line.split(apart)] for line in lines[1:]]
    if not rows:
        raise UserError(f"{path}: holds no variants; remove the file, or fetch it again")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise UserError(f"{path}: variant {number} has {len(row)} columns, not {len(header)}")
    table = pd.DataFrame([[row[header.index(name.lower())] for name in _COLUMNS] for row in rows], columns=_COLUMNS)
    rna = table["Ref"].str.contains("U", case=False) | table["Alt"].str.contains("U", case=False)
    table = table.assign(Ref=table["Ref"].map(bases), Alt=table["Alt"].map(bases), rna=rna)
    for number, alleles in enumerate(zip(table["Ref"], table["Alt"], strict=True), start=1):
        if not all(len(allele) == 1 and allele in BASES[:N_TOKEN] for allele in alleles):
            raise UserError(
                f"{path}: variant {number} has alleles {quoted(alleles[0])!r} and {quoted(alleles[1])!r}; each must be"
                " one of A C G T"
            )
    return table.assign(
        Pos=whole_numbers(path, table, "Pos").astype(np.int64),
        Value=numbers(path, table, "Value"),
        Confidence=numbers(path, table, "Confidence"),
    )


def _placed(where: str, name: str, table: pd.DataFrame, references: Mapping[str, Any]) -> Placed:
    """A file's variants, laid on their reference."""
    placed = Placed.on(references[name], where, name, table)
    return dataclasses.replace(placed, others=lambda: other_sequences(placed, name, references))


def _first(table: pd.DataFrame) -> str:
    return "" if table.empty else f"{table['Pos'].iloc[0]} {table['Ref'].iloc[0]}>{table['Alt'].iloc[0]}"


def _windows_of(
    table: pd.DataFrame, reference: Mapping[str, Any], length: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(V, 2, length) ref and alt windows, and (V,) whether Ref differs."""
    sequence, centre = reference["tokens"], length // 2
    offset = table["Pos"].to_numpy(np.int64) - reference["start"]
    ref, alt = (to_tokens(table[column].tolist(), column)[:, 0] for column in ("Ref", "Alt"))
    window = padded_reference(sequence, length)[offset[:, None] + np.arange(length)]
    both = np.repeat(window[:, None], 2, axis=1)
    both[:, 0, centre], both[:, 1, centre] = ref, alt
    return both, sequence[offset] != ref


def _recognises(path: Path) -> bool:
    """Whether a folder has a file that is named as CAGI5's."""
    try:
        return any(_FILE_NAME.match(other.name) for other in list_files(path, _FOLDER))
    except UserError:
        return False


BENCHMARK = Benchmark(
    title="CAGI5",
    read=read_cagi5,
    recognises=_recognises,
    reported="challenge",
    selectable="release",
    cell_line_of=lambda path: cell_line_of(path.name),
)
