"""The saturation mutagenesis study's own table, public as it is: 29 data sets of 21 elements, deletions included.

Kircher et al. 2019, doi:10.1038/s41467-019-11526-w. CAGI5's variants are among them, those of its challenge too.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, listing
from nrtune.trainables.core.given import list_files
from nrtune.trainables.data.benchmarks import DELETION, Benchmark, VariantSet
from nrtune.trainables.data.benchmarks._agreement import agreement_findings, of_chrom, other_sequences, ref_is_alt
from nrtune.trainables.data.benchmarks._columns import check_names, numbers, text_of, whole_numbers, without_copies
from nrtune.trainables.data.benchmarks._deletions import with_deletions
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
from nrtune.trainables.data.findings import Finding, by_severity, flagged, row_of
from nrtune.trainables.data.letters import letter_findings
from nrtune.trainables.data.placed import Placed
from nrtune.trainables.data.sequences import BASES, N_TOKEN, reverse_complement, to_tokens
from nrtune.trainables.data.tables import read_table
from nrtune.trainables.data.variant_windows import bases

TABLE = "elements.tsv.gz"
_TABLES = (TABLE, "elements.tsv", "elements.tsv.bz2")
P_VALUE, BARCODES = 1e-5, 10
"""High confidence, as the study has it: a p-value below this, from so many barcodes or more."""

FLIPPED = "-flip"
_ALIAS = {"GP1BA": "GP1BB"}
"""Names that differ from CAGI5's."""

_COLUMNS = ("Chrom", "Pos", "Ref", "Alt", "Barcodes", "Coefficient", "pValue", "Element")
_RELEASE = "Release"
_FOLDER = f"the folder that holds {TABLE}, which nrtune data fetch satmut downloads, and {REFERENCES}"


def read_satmut(folder: str | os.PathLike[str], *, length: int = 230, cell_line: str | None = None) -> VariantSet:
    """Read elements.tsv.gz, or unpacked, with references.json beside it; of GRCh37 and GRCh38 what the references are of.

    A window is `length` bases of the reference, the variant at index length // 2, N beyond the reference; behind a deletion the
    bases move up. Data sets named …-flip were measured on the other strand: their windows are turned round. Data sets
    whose element has no reference, and rows without a position or an allele, are left out, and said in `notes`; rows that are
    copies, that have the same Ref and Alt, or lie outside their reference, are left out too, and are `findings`.

    cell_line: NAME, ELEMENT=NAME,… or both, as of `match_elements`; None for K562, or the one that all elements are of.
    Raises UserError for a missing or malformed file, and where no data set belongs to the cell line.
    """
    folder = Path(folder)
    path = _table_in(folder)
    table = _read_table(path)
    references = read_references(folder / REFERENCES)
    findings = letters_of_references(folder.name, references)
    findings += letter_findings(folder.name, table.pop("rna").to_numpy(bool), what="alleles")
    findings += _of_p_values(folder.name, table)
    same = ((table["Ref"] == table["Alt"]) & table["Ref"].isin(list(BASES[:N_TOKEN]))).to_numpy(bool)
    findings += ref_is_alt(folder.name, same, _first(table[same]))
    whole = (
        table["Pos"].notna()
        & table["Ref"].isin(list(BASES[:N_TOKEN]))
        & table["Alt"].isin([*BASES[:N_TOKEN], DELETION])
    )
    whole &= table["Coefficient"].notna()
    notes = []
    if lacking := int((~whole & ~same).sum()):
        notes.append(f"rows without a position, alleles or a coefficient: {lacking} left out")
    table = table[whole & ~same]
    key = {name: _reference_of(str(name), references) for name in table["Element"].unique()}
    if unknown := sorted(name for name, found in key.items() if found is None):
        notes.append(f"no reference sequence for {listing(unknown, 40)}: left out")
    table = table[table["Element"].map(lambda name: key[name] is not None)]
    if table.empty:
        raise UserError(f"{folder}: no row of {path.name} can be scored ({'; '.join(notes) or 'it has none'})")
    of = {name: str(found) for name, found in key.items() if found is not None}
    assembly, rows, placed = _of_one_assembly(table, of, references, folder)
    findings = [*agreement_findings(list(placed.values())), *findings]
    rows = {name: here[placed[name].known] for name, here in rows.items() if placed[name].known.any()}
    if not rows:
        raise UserError(f"{folder}: no variant is left; {by_severity(findings)[0]}")
    elements = tuple(rows)
    matched = match_elements(str(folder), elements, cell_line, told_cell_lines(references), of, left_out=key)
    for name, here in rows.items():
        findings += of_chrom(f"{folder.name}, {name}", here, references[of[name]])
        rows[name], found = without_copies(here, f"{folder.name}, {name}")
        findings += found
    built = [_windows_of(here, name, references[of[name]], length) for name, here in rows.items()]
    table = pd.concat(list(rows.values()))
    windows, ref_window, alt_window = distinct_windows(np.concatenate([both for both, _ in built]))
    element = table["Element"].map({name: i for i, name in enumerate(elements)}).to_numpy().astype(np.uint8)
    pos, value = table["Pos"].to_numpy(np.int64), table["Coefficient"].to_numpy(np.float64)
    significant = ((table["pValue"] < P_VALUE) & (table["Barcodes"] >= BARCODES)).to_numpy(bool)
    names = np.frombuffer("\n".join((matched.cell_line, *elements)).encode(), np.uint8)
    return VariantSet(
        benchmark="satmut",
        title=BENCHMARK.title,
        name=folder.name,
        assembly=assembly,
        cell_line=matched.cell_line,
        elements=elements,
        matched=matched.elements,
        parts=("",),
        selectable=(),
        strata=("hc", "lc"),
        element=element,
        part=np.zeros(len(table), np.uint8),
        stratum=(~significant).astype(np.uint8),
        chrom=np.array([str(references[of[name]]["chrom"]) for name in elements])[element],
        pos=pos,
        ref=table["Ref"].to_numpy(np.str_),
        alt=table["Alt"].to_numpy(np.str_),
        value=value,
        ref_mismatch=np.concatenate([wrong for _, wrong in built]),
        windows=windows,
        ref_window=ref_window,
        alt_window=alt_window,
        columns={"significant": significant},
        notes=tuple(notes),
        findings=(*findings, *matched.findings),
        digest=array_digest(names, element, pos, value, significant, windows, ref_window, alt_window),
    )


def _table_in(folder: Path) -> Path:
    """The study's table, packed or not. Raises UserError where there is none, or two."""
    found = [path for path in list_files(folder, _FOLDER) if path.name in _TABLES]
    if not found:
        raise UserError(f"{folder / TABLE}: no such file; nrtune data fetch satmut downloads it")
    if len(found) > 1:
        raise UserError(f"{folder}: holds {found[0].name} and {found[1].name}; keep one of them")
    return found[0]


def _read_table(path: Path) -> pd.DataFrame:
    """The columns that count, by their names; alleles in upper case, numbers NaN where there is none."""
    table = read_table(path, f"the study's {TABLE}")
    spelled = {name.lower(): name for name in (*_COLUMNS, _RELEASE)}
    table.columns = [spelled.get(str(name).strip().lower(), str(name)) for name in table.columns]
    if missing := [name for name in _COLUMNS if name not in table]:
        raise UserError(f"{path}: has no column {missing[0]}; it needs {', '.join(_COLUMNS)}")
    for name in (*_COLUMNS, _RELEASE):
        if list(table.columns).count(name) > 1:
            raise UserError(f"{path}: has column {name} more than once; keep one")
    if table.empty:
        raise UserError(f"{path}: holds no variants; fetch it again: nrtune data fetch satmut")
    texts = {name: table[name].map(text_of) for name in ("Chrom", "Element", "Ref", "Alt")}
    pos = whole_numbers(path, table, "Pos", missing=True)
    texts["Ref"], texts["Alt"], anchored = with_deletions(path, texts["Ref"], texts["Alt"])
    rna = texts["Ref"].str.contains("U", case=False) | texts["Alt"].str.contains("U", case=False)
    texts |= {name: texts[name].map(bases) for name in ("Ref", "Alt")}
    if (texts["Element"] == "").any():
        raise UserError(
            f"{path}: column Element, row {int((texts['Element'] == '').argmax()) + 1}: is empty; fill it in"
        )
    check_names(f"{path}: column Element", set(texts["Element"]))
    release = table[_RELEASE].map(text_of) if _RELEASE in table else ""
    return table.assign(
        **texts,
        rna=rna,
        Release=release,
        Pos=pos + anchored,
        **{name: numbers(path, table, name, missing=True) for name in ("Barcodes", "Coefficient", "pValue")},
    )[["Chrom", "Pos", "Ref", "Alt", "Barcodes", "Coefficient", "pValue", "Element", "Release", "rna"]]


def _of_p_values(where: str, table: pd.DataFrame) -> list[Finding]:
    wrong = ((table["pValue"] < 0) | (table["pValue"] > 1)).to_numpy(bool)
    return flagged(
        wrong,
        "p-value-range",
        "error",
        "p-values are not between 0 and 1, and who has high confidence goes by them",
        where=where,
        example=lambda row: f"{table['pValue'].to_numpy()[row]:g} in {row_of(row)}",
        advice="give p-values, not their logarithms",
    )


def _first(table: pd.DataFrame) -> str:
    """One variant, for people."""
    if table.empty:
        return ""
    pos = table["Pos"].iloc[0]
    return (
        f"{table['Element'].iloc[0]} {'?' if np.isnan(pos) else int(pos)} {table['Ref'].iloc[0]}>{table['Alt'].iloc[0]}"
    )


def _reference_of(name: str, references: Mapping[str, Any]) -> str | None:
    """The reference of a data set: SORT1.2, SORT1-flip and PKLR-24h are of SORT1 and PKLR."""
    base = name.partition("-")[0].partition(".")[0]
    return next((found for found in (name, base, _ALIAS.get(base)) if found in references), None)


def _of_one_assembly(
    table: pd.DataFrame, of: Mapping[str, str], references: Mapping[str, Any], folder: Path
) -> tuple[str, dict[str, pd.DataFrame], dict[str, Placed]]:
    """The assembly with which most Ref alleles are those of the references, its rows by data set, and where they lie."""
    laid: dict[str, dict[str, Placed]] = {}
    rows: dict[str, dict[str, pd.DataFrame]] = {}
    for assembly, all_rows in table.groupby(_RELEASE, sort=True):
        rows[str(assembly)] = {str(name): here for name, here in all_rows.groupby("Element", sort=False)}
        laid[str(assembly)] = {
            name: Placed.on(references[of[name]], f"{folder.name}, {name}", name, here)
            for name, here in rows[str(assembly)].items()
        }
    shares = {
        assembly: float(np.concatenate([one.agrees for one in placed.values()]).mean())
        for assembly, placed in laid.items()
    }
    best = max(shares, key=lambda assembly: shares[assembly])
    placed = {
        name: dataclasses.replace(
            one, others=functools.partial(_elsewhere, one, name, best, laid, references, of[name])
        )
        for name, one in laid[best].items()
    }
    return best, rows[best], placed


def _elsewhere(
    one: Placed,
    name: str,
    assembly: str,
    laid: Mapping[str, Mapping[str, Placed]],
    references: Mapping[str, Any],
    key: str,
) -> Iterator[tuple[str, float]]:
    """What else a data set's alleles may be of: another assembly's positions, or another element's sequence."""
    for other, placed in laid.items():
        if other != assembly and name in placed:
            words = (
                f"the reference is of {other or 'rows without a Release'}, unlike the others', which are of {assembly}"
            )
            yield words, float(placed[name].agrees.mean())
    yield from other_sequences(one, key, references)


def _windows_of(
    table: pd.DataFrame, name: str, reference: Mapping[str, Any], length: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(V, 2, length) ref and alt windows, and (V,) whether Ref differs."""
    tokens, centre = reference["tokens"], length // 2
    offset = table["Pos"].to_numpy(np.int64) - int(reference["start"])
    ref = to_tokens(table["Ref"].tolist(), f"{name}: Ref")[:, 0]
    longer = padded_reference(tokens, length)[offset[:, None] + np.arange(length + 1)]
    longer[:, centre] = ref
    both = np.repeat(longer[:, None, :length], 2, axis=1)
    deleted = (table["Alt"] == DELETION).to_numpy(bool)
    both[deleted, 1] = np.delete(longer[deleted], centre, axis=1)
    both[~deleted, 1, centre] = to_tokens(table["Alt"][~deleted].tolist(), f"{name}: Alt").reshape(-1)
    return reverse_complement(both) if name.endswith(FLIPPED) else both, tokens[offset] != ref


def _recognises(path: Path) -> bool:
    """Whether a folder has the study's table, if only as a broken link."""
    return any((path / name).exists() or (path / name).is_symlink() for name in _TABLES)


BENCHMARK = Benchmark(
    title="Saturation mutagenesis",
    read=read_satmut,
    recognises=_recognises,
    cell_line_of=lambda path: cell_line_of(path.name),
)
