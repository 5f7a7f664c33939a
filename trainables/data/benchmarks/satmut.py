"""The saturation mutagenesis study's own table, public as it is: 29 data sets of 21 elements, deletions included.

Kircher et al. 2019, doi:10.1038/s41467-019-11526-w. CAGI5's variants are among them, those of its challenge too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.data.benchmarks import DELETION, Benchmark, VariantSet
from nrtune.trainables.data.benchmarks._windows import REFERENCES, distinct_windows, padded_reference, read_references
from nrtune.trainables.data.benchmarks.cagi5 import DEFAULT_CELL_LINE, ELEMENTS_OF_CELL_LINE, cell_line_of
from nrtune.trainables.data.dataset import array_digest
from nrtune.trainables.data.sequences import BASES, reverse_complement, to_tokens

TABLE = "elements.tsv.gz"
P_VALUE, BARCODES = 1e-5, 10
"""High confidence, as the study has it: a p-value below this, from so many barcodes or more."""

FLIPPED = "-flip"
AGREEING = 0.9
"""A table's assembly is that of the references if so many of its Ref alleles are the reference's."""

_ALIAS = {"GP1BA": "GP1BB"}
"""Names that differ from CAGI5's."""

ELEMENTS: Mapping[str, tuple[str, ...]] = {
    **ELEMENTS_OF_CELL_LINE,
    "HEL92.1.7": ("BCL11A", "GP1BB", "HBB", "HBG1"),
    "HEK293T": ("HNF4A", "MSMB", "MYCrs6983267", "TERT-HEK"),
    "SF7996": ("TERT-GAa", "TERT-GBM", "TERT-GSc"),
    "HeLa": ("FOXE1",),
    "SK-MEL-28": ("IRF4",),
    "HaCaT": ("IRF6",),
    "LNCaP": ("MYCrs11986220",),
    "Neuro-2a": ("RET", "UC88"),
    "MIN6": ("TCF7L2", "ZFAND3"),
    "NIH/3T3": ("ZRSh-13", "ZRSh-13h2"),
}
"""Elements, and data sets, measured in a cell line. For K562 and HepG2 those that CAGI5's are matched to: of K562's all but
PKLR were measured in HEL 92.1.7, erythroid as well."""

_COLUMNS = ("Chrom", "Pos", "Ref", "Alt", "Barcodes", "Coefficient", "pValue", "Element", "Release")
_TYPES: dict[str, Any] = {"Chrom": str, "Pos": "Int64"}


def read_satmut(folder: str | os.PathLike[str], *, length: int = 230, cell_line: str | None = None) -> VariantSet:
    """Read elements.tsv.gz with references.json beside it; of GRCh37 and GRCh38 what the references are of.

    A window is `length` bases of the reference, the variant at index length // 2, N beyond the reference; behind a deletion the
    bases move up. Data sets named …-flip were measured on the other strand: their windows are turned round. Data sets
    whose element has no reference, and rows without a position or an allele, are left out, and said in `notes`.

    cell_line: None for K562. Raises UserError for a missing or malformed file, and where no data set belongs to it.
    """
    cell_line = cell_line or DEFAULT_CELL_LINE
    if cell_line not in ELEMENTS:
        raise UserError(f"unknown cell line {cell_line!r}{suggest(cell_line, ELEMENTS)}")
    folder = Path(folder)
    table = _read_table(folder / TABLE)
    references = read_references(folder / REFERENCES)
    whole = table["Pos"].notna() & table["Ref"].isin(list(BASES[:4])) & table["Alt"].isin([*BASES[:4], DELETION])
    whole &= np.isfinite(table["Coefficient"]) & (table["Ref"] != table["Alt"])
    notes = []
    if not whole.all():
        notes.append(f"rows without a position, alleles or a coefficient: {int((~whole).sum())} left out")
    table = table[whole]
    key = {name: _reference_of(str(name), references) for name in table["Element"].unique()}
    if lacking := sorted(name for name, found in key.items() if found is None):
        notes.append(f"no reference sequence for {', '.join(lacking)}: left out")
    table = table[table["Element"].map(lambda name: key[name] is not None)]
    assembly, table = _of_one_assembly(table, key, references, folder)
    elements = tuple(str(name) for name in table["Element"].unique())
    matched = tuple(name for name in elements if {name, key[name]} & set(ELEMENTS[cell_line]))
    if not matched:
        raise UserError(
            f"{folder}: holds no data set of {cell_line} ({', '.join(ELEMENTS[cell_line])}); give --cell-line"
        )
    built = [
        _windows_of(table[table["Element"] == name], name, references[str(key[name])], length) for name in elements
    ]
    table = pd.concat([table[table["Element"] == name] for name in elements])
    windows, ref_window, alt_window = distinct_windows(np.concatenate([both for both, _ in built]))
    element = table["Element"].map({name: i for i, name in enumerate(elements)}).to_numpy().astype(np.uint8)
    pos, value = table["Pos"].to_numpy(np.int64), table["Coefficient"].to_numpy(np.float64)
    significant = ((table["pValue"] < P_VALUE) & (table["Barcodes"] >= BARCODES)).to_numpy(bool)
    names = np.frombuffer("\n".join((cell_line, *elements)).encode(), np.uint8)
    return VariantSet(
        benchmark="satmut",
        title=BENCHMARK.title,
        name=folder.name,
        assembly=assembly,
        cell_line=cell_line,
        elements=elements,
        matched=matched,
        parts=("",),
        selectable=(),
        strata=("hc", "lc"),
        element=element,
        part=np.zeros(len(table), np.uint8),
        stratum=(~significant).astype(np.uint8),
        chrom=np.array([str(references[str(key[name])]["chrom"]) for name in elements])[element],
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
        digest=array_digest(names, element, pos, value, significant, windows, ref_window, alt_window),
    )


def _read_table(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise UserError(f"{path}: no such file; nrtune data fetch satmut downloads it")
    try:
        table = pd.read_csv(path, sep="\t", dtype=_TYPES)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: can't be read as a tab-separated table ({error})") from error
    if missing := [name for name in _COLUMNS if name not in table]:
        raise UserError(f"{path}: has no column {missing[0]}; it needs {', '.join(_COLUMNS)}")
    for name in ("Barcodes", "Coefficient", "pValue"):
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise UserError(f"{path}: column {name} holds something that is not a number")
    return table


def _reference_of(name: str, references: Mapping[str, Any]) -> str | None:
    """The reference of a data set: SORT1.2, SORT1-flip and PKLR-24h are of SORT1 and PKLR."""
    base = name.partition("-")[0].partition(".")[0]
    return next((found for found in (name, base, _ALIAS.get(base)) if found in references), None)


def _of_one_assembly(
    table: pd.DataFrame, key: Mapping[str, str | None], references: Mapping[str, Any], folder: Path
) -> tuple[str, pd.DataFrame]:
    """The rows of the assembly that the references are of, by their Ref alleles."""
    shares = {}
    for assembly, rows in table.groupby("Release"):
        agreeing = [
            _matches(part, references[str(key[str(name)])]).sum() for name, part in rows.groupby("Element", sort=False)
        ]
        shares[str(assembly)] = sum(agreeing) / len(rows)
    best = max(shares, key=lambda assembly: shares[assembly], default=None)
    if best is None or shares[best] < AGREEING:
        raise UserError(
            f"{folder / REFERENCES}: agrees with the Ref alleles of no assembly in {TABLE}"
            f" ({', '.join(f'{name} {share:.0%}' for name, share in shares.items()) or 'no data set has a reference'})"
        )
    return best, table[table["Release"] == best]


def _offsets(table: pd.DataFrame, reference: Mapping[str, Any]) -> NDArray[np.int64]:
    return table["Pos"].to_numpy(np.int64) - int(reference["start"])


def _matches(table: pd.DataFrame, reference: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Whether each Ref is the reference's base there."""
    offset, tokens = _offsets(table, reference), reference["tokens"]
    inside = (offset >= 0) & (offset < len(tokens))
    ref = to_tokens(table["Ref"].tolist(), "Ref")[:, 0]
    matches: NDArray[np.bool_] = inside & (tokens[np.where(inside, offset, 0)] == ref)
    return matches


def _windows_of(
    table: pd.DataFrame, name: str, reference: Mapping[str, Any], length: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(V, 2, length) ref and alt windows, and (V,) whether Ref differs."""
    offset, tokens, centre = _offsets(table, reference), reference["tokens"], length // 2
    outside = (offset < 0) | (offset >= len(tokens))
    if outside.any():
        pos = int(table["Pos"].to_numpy()[outside.argmax()])
        raise UserError(
            f"{name}: position {pos} lies outside its reference ({reference['start']} and {len(tokens)} bases on)"
        )
    longer = padded_reference(tokens, length)[offset[:, None] + np.arange(length + 1)]
    longer[:, centre] = to_tokens(table["Ref"].tolist(), f"{name}: Ref")[:, 0]
    both = np.repeat(longer[:, None, :length], 2, axis=1)
    deleted = (table["Alt"] == DELETION).to_numpy(bool)
    both[deleted, 1] = np.delete(longer[deleted], centre, axis=1)
    both[~deleted, 1, centre] = to_tokens(table["Alt"][~deleted].tolist(), f"{name}: Alt").reshape(-1)
    return reverse_complement(both) if name.endswith(FLIPPED) else both, ~_matches(table, reference)


BENCHMARK = Benchmark(
    title="Saturation mutagenesis",
    read=read_satmut,
    recognises=lambda path: (path / TABLE).exists(),
    cell_line_of=lambda path: cell_line_of(path.name),
)
