"""Folders in the layout of the saturation mutagenesis study, made for tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nrtune.trainables.data.benchmarks._windows import REFERENCES
from nrtune.trainables.data.benchmarks.cagi5 import PARTS
from nrtune.trainables.data.benchmarks.satmut import TABLE

COLUMNS = ("Chrom", "Pos", "Ref", "Alt", "Barcodes", "DNA", "RNA", "Coefficient", "pValue", "Element", "Release")


def write_table(folder: Path, rows: list[dict[str, Any]], references: Mapping[str, Mapping[str, Any]]) -> Path:
    """elements.tsv.gz and references.json in a new folder; what a row does not say is that of a certain effect."""
    folder.mkdir(parents=True, exist_ok=True)
    usual = {
        "Barcodes": 50,
        "DNA": 500,
        "RNA": 500,
        "Coefficient": 0.5,
        "pValue": 1e-9,
        "Release": "GRCh37",
    }
    chrom = {name: one["chrom"] for name, one in references.items()}
    other = next(iter(chrom.values()), "1")
    rows = [{**usual, "Chrom": chrom.get(str(row["Element"]), other), **row} for row in rows]
    table = pd.DataFrame.from_records(rows, columns=COLUMNS)
    table.to_csv(folder / TABLE, sep="\t", index=False)
    (folder / REFERENCES).write_text(json.dumps(references))
    return folder


def from_cagi5(cagi5: Path, folder: Path) -> Path:
    """The variants of a simulated CAGI5 folder, and a deletion at each fifth position, as the study's table has them."""
    rows = []
    for name in json.loads((cagi5 / REFERENCES).read_text()):
        for part in PARTS:
            table = pd.read_csv(cagi5 / f"{part}_{name}.tsv", sep="\t", comment="#", header=None)
            for row in table.itertuples(index=False):
                chrom, pos, ref, alt, value, confidence = row
                one = {
                    "Chrom": chrom,
                    "Pos": pos,
                    "Ref": ref,
                    "Coefficient": value,
                    "pValue": 1e-9 if confidence >= 0.1 else 0.2,
                    "Element": name,
                }
                rows.append({**one, "Alt": alt})
                if pos % 5 == 0 and alt == min(set("ACGT") - {ref}):
                    rows.append({**one, "Alt": "-"})
    write_table(folder, rows, {})
    shutil.copy(cagi5 / REFERENCES, folder / REFERENCES)
    return folder
