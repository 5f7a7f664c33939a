"""CAGI5 saturation mutagenesis: variants of regulatory elements, their measured effects, and the windows to predict."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.dataset import array_digest
from nrtune.trainables.data.sequences import BASES, N_TOKEN, to_tokens

HIGH_CONFIDENCE = 0.1
"""The challenge's threshold: high confidence is at least this."""

PARTS = ("release", "challenge")
"""The challenge's training variants, about a quarter of each element, and the rest."""

ELEMENTS_OF_CELL_LINE: Mapping[str, tuple[str, ...]] = {
    "K562": ("GP1BB", "HBB", "HBG1", "PKLR"),
    "HepG2": ("F9", "LDLR", "SORT1"),
    "simulated": ("SIM1", "SIM2", "SIM3", "SIM4"),
}
"""The elements whose effects were measured in a cell line (Kircher et al. 2019, doi:10.1038/s41467-019-11526-w)."""

REFERENCES = "references.json"
_FILE_NAME = re.compile(r"^(release|challenge)_(.+)\.tsv$")
_COLUMNS = ("Chrom", "Pos", "Ref", "Alt", "Value", "Confidence")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variants:
    """All variants of a CAGI5 folder and the windows that predict them.

    elements: names. element, part: (V,) uint8, indices into `elements` and PARTS. chrom: of each element.
    pos: (V,) int64, 1-based hg19. ref, alt: (V,) uint8 tokens. value, confidence: (V,) float64, as published.
    ref_mismatch: (V,) bool, Ref differs from the reference sequence. windows: (W, length) uint8 tokens, each distinct
    window once; ref_window, alt_window: (V,) int64, rows of `windows`. matched: elements of the cell line.
    """

    name: str
    cell_line: str
    elements: tuple[str, ...]
    matched: tuple[str, ...]
    chrom: tuple[str, ...]
    element: NDArray[np.uint8]
    part: NDArray[np.uint8]
    pos: NDArray[np.int64]
    ref: NDArray[np.uint8]
    alt: NDArray[np.uint8]
    value: NDArray[np.float64]
    confidence: NDArray[np.float64]
    ref_mismatch: NDArray[np.bool_]
    windows: NDArray[np.uint8]
    ref_window: NDArray[np.int64]
    alt_window: NDArray[np.int64]

    prefixes: ClassVar[Mapping[str, str]] = {part: f"cagi5/{part}" for part in PARTS}
    """How the metrics of each part begin."""
    assembly: ClassVar[str] = "hg19"

    def __len__(self) -> int:
        return len(self.pos)

    def rows(self, element: str, part: str) -> NDArray[np.int64]:
        """Indices of an element's variants in a part, in file order."""
        here = (self.element == self.elements.index(element)) & (self.part == PARTS.index(part))
        return np.flatnonzero(here)

    @functools.cached_property
    def digest(self) -> str:
        """16 hex digits of everything that a score depends on."""
        names = np.frombuffer("\n".join((self.cell_line, *self.elements)).encode(), np.uint8)
        return array_digest(names, self.element, self.part, self.pos, self.value, self.confidence, self.windows,
                            self.ref_window, self.alt_window)  # fmt: skip

    def counts(self) -> pd.DataFrame:
        """One row an element and part: n, high_confidence, ref_mismatch, matched."""
        records = []
        for element in self.elements:
            for part in PARTS:
                rows = self.rows(element, part)
                if len(rows):
                    records.append(
                        {
                            "element": element,
                            "part": part,
                            "n": len(rows),
                            "high_confidence": int((self.confidence[rows] >= HIGH_CONFIDENCE).sum()),
                            "ref_mismatch": int(self.ref_mismatch[rows].sum()),
                            "matched": element in self.matched,
                        }
                    )
        return pd.DataFrame.from_records(records)

    def table(self) -> pd.DataFrame:
        """One row a variant: element, part, chrom, pos, ref, alt, value, confidence, ref_mismatch."""
        letters = np.array(list(BASES))
        return pd.DataFrame(
            {
                "element": np.array(self.elements)[self.element],
                "part": np.array(PARTS)[self.part],
                "chrom": np.array(self.chrom)[self.element],
                "pos": self.pos,
                "ref": letters[self.ref],
                "alt": letters[self.alt],
                "value": self.value,
                "confidence": self.confidence,
                "ref_mismatch": self.ref_mismatch,
            }
        )


def cell_line_of(name: str) -> str | None:
    """The cell line whose name a file name holds, else None."""
    lowered = name.lower()
    return next((line for line in ELEMENTS_OF_CELL_LINE if line.lower() in lowered), None)


def read_cagi5(folder: str | os.PathLike[str], *, length: int = 230, cell_line: str = "K562") -> Variants:
    """Read release_ELEMENT.tsv and challenge_ELEMENT.tsv with references.json beside them.

    A window is `length` bases of the element's reference, the variant at index length // 2, N beyond the reference;
    the ref window carries the table's Ref, so that it differs from the alt window in the allele alone even where Ref
    differs from the reference (such variants are kept, and counted in ref_mismatch).

    Raises UserError for a missing or malformed file and where no element belongs to `cell_line`.
    """
    folder = Path(folder)
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
    return Variants(
        name=folder.name,
        cell_line=cell_line,
        elements=elements,
        matched=matched,
        chrom=tuple(str(references[name]["chrom"]) for name in elements),
        element=table["element"].to_numpy(np.uint8),
        part=table["part"].to_numpy(np.uint8),
        pos=table["Pos"].to_numpy(np.int64),
        ref=to_tokens(table["Ref"].tolist(), "Ref")[:, 0],
        alt=to_tokens(table["Alt"].tolist(), "Alt")[:, 0],
        value=table["Value"].to_numpy(np.float64),
        confidence=table["Confidence"].to_numpy(np.float64),
        ref_mismatch=mismatch,
        windows=windows,
        ref_window=ref_window,
        alt_window=alt_window,
    )


def distinct_windows(both: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Of (V, 2, length) ref and alt windows each distinct one once, (W, length), and which of them each ref and alt is."""
    windows, inverse = np.unique(both.reshape(-1, both.shape[2]), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1, 2)
    return windows, np.ascontiguousarray(inverse[:, 0]), np.ascontiguousarray(inverse[:, 1])


def padded_reference(tokens: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """A reference with N around it: the window of `length` bases around base i begins at i, and has it at length // 2."""
    ahead, behind = np.full(length // 2, N_TOKEN, np.uint8), np.full(length, N_TOKEN, np.uint8)
    return np.concatenate([ahead, tokens, behind])


def read_references(path: Path) -> dict[str, dict[str, Any]]:
    """The sequence around each element: chrom, start (1-based) and its tokens. Raises UserError."""
    if not path.exists():
        raise UserError(
            f"{path}: no such file; it holds the sequence around each element: nrtune data fetch hg19-windows has hg19's"
        )
    try:
        references = json.loads(path.read_text())
        for name, record in references.items():
            record["start"] = int(record["start"])
            record["tokens"] = to_tokens([record["sequence"]], f"{path}: {name}")[0]
            record["chrom"] = str(record["chrom"])
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: must map each element to chrom, start and sequence ({error})") from error
    return dict(references)


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
