"""CAGI5: variants of regulatory elements by saturation mutagenesis, with a part that may be looked at."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks import Benchmark, VariantSet
from nrtune.trainables.data.benchmarks._windows import REFERENCES, distinct_windows, padded_reference, read_references
from nrtune.trainables.data.dataset import array_digest
from nrtune.trainables.data.sequences import BASES, to_tokens

HIGH_CONFIDENCE = 0.1
"""The challenge's threshold: high confidence is at least this."""

DEFAULT_CELL_LINE = "K562"

PARTS = ("release", "challenge")
"""The challenge's training variants, about a quarter of each element, and the rest."""

ELEMENTS_OF_CELL_LINE: Mapping[str, tuple[str, ...]] = {
    "K562": ("GP1BB", "HBB", "HBG1", "PKLR"),
    "HepG2": ("F9", "LDLR", "SORT1"),
    "simulated": ("SIM1", "SIM2", "SIM3", "SIM4"),
}
"""The elements whose effects were measured in a cell line (Kircher et al. 2019, doi:10.1038/s41467-019-11526-w)."""

_FILE_NAME = re.compile(r"^(release|challenge)_(.+)\.tsv$")
_COLUMNS = ("Chrom", "Pos", "Ref", "Alt", "Value", "Confidence")


def cell_line_of(name: str) -> str | None:
    """The cell line whose name a file name holds, else None."""
    lowered = name.lower()
    return next((line for line in ELEMENTS_OF_CELL_LINE if line.lower() in lowered), None)


def read_cagi5(folder: str | os.PathLike[str], *, length: int = 230, cell_line: str | None = None) -> VariantSet:
    """Read release_ELEMENT.tsv and challenge_ELEMENT.tsv with references.json beside them.

    A window is `length` bases of the element's reference, the variant at index length // 2, N beyond the reference;
    the ref window carries the table's Ref, so that it differs from the alt window in the allele alone even where Ref
    differs from the reference (such variants are kept, and counted in ref_mismatch).

    cell_line: None for K562. Raises UserError for a missing or malformed file and where no element belongs to it.
    """
    folder = Path(folder)
    cell_line = cell_line or DEFAULT_CELL_LINE
    if cell_line not in ELEMENTS_OF_CELL_LINE:
        raise UserError(f"unknown cell line {cell_line!r}; known: {', '.join(ELEMENTS_OF_CELL_LINE)}")
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; give the folder that holds challenge_ELEMENT.tsv and references.json"
        )
    files = sorted((m.group(2), m.group(1), path) for path in folder.iterdir() if (m := _FILE_NAME.match(path.name)))
    matched = tuple(e for e in ELEMENTS_OF_CELL_LINE[cell_line] if any(e == name for name, _, _ in files))
    if not matched:
        raise UserError(
            f"{folder}: holds no element of {cell_line} ({', '.join(ELEMENTS_OF_CELL_LINE[cell_line])});"
            " its files are named challenge_ELEMENT.tsv and release_ELEMENT.tsv"
        )
    references = read_references(folder / REFERENCES)
    elements = tuple(dict.fromkeys(name for name, _, _ in files))
    tables = []
    for name, part, path in files:
        if name not in references:
            raise UserError(f"{folder / REFERENCES}: has no sequence for {name}, which {path.name} needs")
        table = _read_variants(path)
        table["element"], table["part"] = elements.index(name), PARTS.index(part)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    built = [
        _windows_of(table[table["element"] == i], name, references[name], length) for i, name in enumerate(elements)
    ]
    order = np.concatenate([rows for rows, *_ in built])
    both = np.concatenate([pair for _, pair, _ in built])  # (V, 2, length): ref and alt window
    mismatch = np.concatenate([wrong for *_, wrong in built])
    table = table.iloc[order].reset_index(drop=True)
    windows, ref_window, alt_window = distinct_windows(both)
    element, part = table["element"].to_numpy(np.uint8), table["part"].to_numpy(np.uint8)
    pos, value = table["Pos"].to_numpy(np.int64), table["Value"].to_numpy(np.float64)
    confidence = table["Confidence"].to_numpy(np.float64)
    names = np.frombuffer("\n".join((cell_line, *elements)).encode(), np.uint8)
    return VariantSet(
        benchmark="cagi5",
        title=BENCHMARK.title,
        name=folder.name,
        assembly="hg19",
        cell_line=cell_line,
        elements=elements,
        matched=matched,
        parts=PARTS,
        selectable=("release",),
        strata=("hc", "lc"),
        element=element,
        part=part,
        stratum=(confidence < HIGH_CONFIDENCE).astype(np.uint8),
        chrom=np.array([str(references[name]["chrom"]) for name in elements])[element],
        pos=pos,
        ref=table["Ref"].to_numpy(np.str_),
        alt=table["Alt"].to_numpy(np.str_),
        value=value,
        ref_mismatch=mismatch,
        windows=windows,
        ref_window=ref_window,
        alt_window=alt_window,
        columns={"confidence": confidence},
        notes=_notes(elements, element, mismatch),
        digest=array_digest(names, element, part, pos, value, confidence, windows, ref_window, alt_window),
    )


def _notes(elements: tuple[str, ...], element: NDArray[np.uint8], mismatch: NDArray[np.bool_]) -> tuple[str, ...]:
    if not mismatch.any():
        return ()
    names = [elements[number] for number in np.unique(element[mismatch])]
    return (f"{int(mismatch.sum())} variants' Ref differ from the reference ({', '.join(names)}); kept",)


def _lines_there(folder: Path) -> Iterator[str]:
    """The cell lines of which a folder has an element."""
    for line, names in ELEMENTS_OF_CELL_LINE.items():
        if any((folder / f"{part}_{name}.tsv").exists() for part in PARTS for name in names):
            yield line


def _read_variants(path: Path) -> pd.DataFrame:
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not a text file; unpack it if it is compressed") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("##")]
    if not lines or lines[0].lstrip("#").split("\t") != list(_COLUMNS):
        raise UserError(f"{path}: its header must be #{' '.join(_COLUMNS)}, tab-separated")
    rows = [line.split("\t") for line in lines[1:]]
    if not rows:
        raise UserError(f"{path}: holds no variants; remove the file, or fetch it again")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(_COLUMNS):
            raise UserError(f"{path}: variant {number} has {len(row)} columns, not {len(_COLUMNS)}")
        if not all(len(allele) == 1 and allele in BASES[:4] for allele in row[2:4]):
            raise UserError(
                f"{path}: variant {number} has alleles {row[2]!r} and {row[3]!r}; each must be one of A C G T"
            )
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    for column, kind in (("Pos", np.int64), ("Value", np.float64), ("Confidence", np.float64)):
        try:
            table[column] = table[column].astype(kind)
        except (ValueError, OverflowError) as error:
            raise UserError(f"{path}: column {column} holds something that is not a number ({error})") from error
        if not np.isfinite(table[column]).all():
            raise UserError(f"{path}: column {column} holds a value that is not finite")
    return table


def _windows_of(
    table: pd.DataFrame, name: str, reference: Mapping[str, Any], length: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]]:
    """Row numbers in the whole table, (V, 2, length) ref and alt windows, and (V,) whether Ref differs."""
    sequence, start = reference["tokens"], reference["start"]
    offset = table["Pos"].to_numpy(np.int64) - start
    outside = (offset < 0) | (offset >= len(sequence))
    if outside.any():
        pos = int(table["Pos"].to_numpy()[outside.argmax()])
        raise UserError(f"{name}: position {pos} lies outside its reference ({start} to {start + len(sequence) - 1})")
    ref = to_tokens(table["Ref"].tolist(), f"{name}: Ref")[:, 0]
    alt = to_tokens(table["Alt"].tolist(), f"{name}: Alt")[:, 0]
    centre = length // 2
    window = padded_reference(sequence, length)[offset[:, None] + np.arange(length)]
    both = np.repeat(window[:, None], 2, axis=1)
    both[:, 0, centre], both[:, 1, centre] = ref, alt
    return table.index.to_numpy(np.int64), both, sequence[offset] != ref


BENCHMARK = Benchmark(
    title="CAGI5",
    read=read_cagi5,
    recognises=lambda path: next(_lines_there(path), None) is not None,
    reported="challenge",
    selectable="release",
    cell_line_of=lambda path: cell_line_of(path.name) or next(_lines_there(path), None),
)
