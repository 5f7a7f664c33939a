"""Benchmarks that are written with U, or in lower case, are those with T in upper case; and it is said."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from satmut_files import from_cagi5

from nrtune.trainables.data.benchmarks import BENCHMARKS
from nrtune.trainables.data.benchmarks.satmut import read_satmut


def findings(variants, id):
    return [(one.severity, one.count, one.example) for one in variants.findings if one.id == id]


@pytest.mark.parametrize("kind", ["cagi5", "satmut"])
def test_references_and_alleles(kind, simulated_folder, tmp_path):
    """Of one file of CAGI5, or the whole table of the study."""
    cagi5 = tmp_path / "cagi5"
    cagi5.mkdir()
    for file in (simulated_folder / "cagi5").iterdir():
        (cagi5 / file.name).write_text(file.read_text())
    folder = cagi5 if kind == "cagi5" else from_cagi5(cagi5, tmp_path / "satmut")
    read = BENCHMARKS.get(kind).read
    plain = read(folder, length=230, cell_line="simulated")
    assert not findings(plain, "u-for-t") + findings(plain, "soft-masked")
    references = json.loads((folder / "references.json").read_text())
    name = sorted(references)[1]
    references[name]["sequence"] = references[name]["sequence"].lower().replace("t", "u")
    (folder / "references.json").write_text(json.dumps(references))
    taken = read(folder, length=230, cell_line="simulated")
    assert taken.digest == plain.digest
    assert findings(taken, "u-for-t") == findings(taken, "soft-masked") == [("note", 1, name)]
    if kind == "satmut":
        return
    lines = (cagi5 / f"release_{name}.tsv").read_text().splitlines()
    head, *rows = (line for line in lines if not line.startswith("##"))
    cells = [row.split("\t") for row in rows]
    text = "\n".join([head, *("\t".join([*c[:2], *(a.replace("T", "u") for a in c[2:4]), *c[4:]]) for c in cells)])
    (cagi5 / f"release_{name}.tsv").write_text(text)
    taken = read(folder, length=230, cell_line="simulated")
    assert taken.digest == plain.digest
    count = sum("T" in row[2:4] for row in cells)
    assert findings(taken, "u-for-t")[1:] == [
        ("note", count, f"row {1 + next(i for i, c in enumerate(cells) if 'T' in c[2:4])}")
    ]


def test_the_studys_alleles(simulated_folder, tmp_path):
    folder = from_cagi5(simulated_folder / "cagi5", tmp_path / "satmut")
    plain = read_satmut(folder, cell_line="simulated")
    table = pd.read_csv(folder / "elements.tsv.gz", sep="\t", dtype=str, keep_default_na=False)
    table["Ref"] = table["Ref"].str.replace("T", "U")
    table.to_csv(folder / "elements.tsv.gz", sep="\t", index=False)
    taken = read_satmut(folder, cell_line="simulated")
    assert taken.digest == plain.digest
    assert [one[1] for one in findings(taken, "u-for-t")] == [int((table["Ref"] == "U").sum())]


@pytest.mark.parametrize("by", ["coordinates", "sequences"])
def test_tables_of_variants(by, tmp_path):
    genome = "ACGTTGCAAC" * 30

    def written(text: str, rna: bool) -> str:
        return text.lower().replace("t", "u") if rna else text

    read = BENCHMARKS.get("table").read
    found = []
    for rna in (False, True):
        folder = tmp_path / str(rna)
        folder.mkdir()
        places = range(20, 120, 7)
        if by == "coordinates":
            (folder / "g.fa").write_text(f">1\n{written(genome, rna)}\n")
            rows = ["chrom\tpos\tref\talt\tvalue"]
            rows += [
                f"1\t{at + 1}\t{written(genome[at], rna)}\t{'ACGT'['CGTA'.index(genome[at])]}\t0.{at}" for at in places
            ]
        else:
            rows = ["ref_seq\talt_seq\tvalue"]
            for at in places:
                ref = genome[at : at + 50]
                alt = f"{ref[:25]}{'ACGT'['CGTA'.index(ref[25])]}{ref[26:]}"
                rows.append(f"{written(ref, rna)}\t{alt}\t0.{at}")
        (folder / "v.tsv").write_text("\n".join(rows))
        found.append(read(folder / "v.tsv", length=60, cell_line=None))
    plain, taken = found
    assert taken.digest == plain.digest
    assert not plain.findings
    assert {one.id for one in taken.findings} == {"u-for-t", "soft-masked"}
    assert {one.count for one in taken.findings if one.id == "soft-masked"} == {15}
