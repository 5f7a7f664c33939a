"""What `nrtune data check` says of a file or folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nrtune.trainables.data.benchmarks.cagi5 import ELEMENTS_OF_CELL_LINE, Variants, cell_line_of, read_cagi5
from nrtune.trainables.data.benchmarks.satmut import TABLE, SaturationVariants, read_satmut
from nrtune.trainables.data.lentimpra import read_dataset


def check_text(path: Path, cell_line: str | None) -> str:
    """What a data file, or a folder of variants, holds. Raises UserError for what is wrong with it."""
    if not path.is_dir():
        return _check_dataset(path)
    has_table = (path / TABLE).exists() and not any(_holds(path, names) for names in ELEMENTS_OF_CELL_LINE.values())
    return _check_satmut(path, cell_line) if has_table else _check_cagi5(path, cell_line)


def read_variants_of_cagi5(folder: Path, cell_line: str | None) -> Variants:
    """A CAGI5 folder; the cell line is the one given, else its name's, else the first whose elements it holds, else K562."""
    there = (line for line, names in ELEMENTS_OF_CELL_LINE.items() if _holds(folder, names))
    return read_cagi5(folder, cell_line=cell_line or cell_line_of(folder.name) or next(there, "K562"))


def read_variants_of_study(folder: Path, cell_line: str | None) -> SaturationVariants:
    """The saturation mutagenesis study's folder; the cell line is the one given, else its name's, else K562."""
    return read_satmut(folder, cell_line=cell_line or cell_line_of(folder.name) or "K562")


def _check_dataset(path: Path) -> str:
    dataset = read_dataset(path)
    lines = [f"{dataset.name}: {len(dataset)} sequences of {dataset.length} bases"]
    for split in ("train", "val", "test"):
        rows = dataset.rows(split)
        activity = dataset.activity[rows]
        line = f"  {split}: {len(rows)} rows, activity {activity.mean():.3f} ± {activity.std():.3f} (log2 RNA/DNA)"
        if dataset.aleatoric_std is not None:
            std = dataset.aleatoric_std[rows]
            line += f", aleatoric std median {float(np.median(std)):.3f}"
            line += f", {int((std == 0).sum())} of them 0" if (std == 0).any() else ""
        lines.append(line)
    lines += [f"  note: {note}" for note in dataset.notes]
    unknown = int((dataset.tokens == 4).any(axis=1).sum())
    if unknown:
        lines.append(f"  note: {unknown} sequences hold N")
    return "\n".join([*lines, f"  digest {dataset.digest}"])


def _check_cagi5(path: Path, cell_line: str | None) -> str:
    variants = read_variants_of_cagi5(path, cell_line)
    lines = [f"{path}: {len(variants)} variants, {len(variants.windows)} distinct windows of 230 bases"]
    lines += [f"matched to {variants.cell_line}: {', '.join(variants.matched)}", "  element  part       n  HC"]
    for row in variants.counts().to_dict("records"):
        lines.append(f"  {row['element']:<8} {row['part']:<9} {row['n']:>4} {row['high_confidence']:>3}")
        if row["ref_mismatch"]:
            lines.append(
                f"    {row['ref_mismatch']} of {row['n']} variants' Ref differ from the reference; kept, counted as ref_mismatch"
            )
    return "\n".join([*lines, f"  digest {variants.digest}"])


def _check_satmut(path: Path, cell_line: str | None) -> str:
    variants = read_variants_of_study(path, cell_line)
    lines = [
        f"{path}: {len(variants)} variants of {variants.assembly}, {len(variants.windows)} distinct windows of 230 bases",
        f"matched to {variants.cell_line}: {', '.join(variants.matched)}",
        "  data set          n   HC  deletions  Ref differs",
    ]
    lines += [
        f"  {row['element']:<14} {row['n']:>4} {row['significant']:>4} {row['deletions']:>10} {row['ref_mismatch']:>12}"
        for row in variants.counts().to_dict("records")
    ]
    return "\n".join([*lines, *(f"  note: {note}" for note in variants.notes), f"  digest {variants.digest}"])


def _holds(path: Path, elements: tuple[str, ...]) -> bool:
    return any((path / f"{part}_{name}.tsv").exists() for part in ("challenge", "release") for name in elements)
