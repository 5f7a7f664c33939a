"""Any table of variants: by coordinates and by sequences, what it may have beside, and what is wrong with one."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nrtune.analysis.scoring.prediction_files import read_effects
from nrtune.analysis.uncertainty.bootstrap import position_blocks
from nrtune.analysis.uncertainty.scored_rows import apart
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.audit.variants import audit_variants
from nrtune.trainables.data.benchmarks import BENCHMARKS
from nrtune.trainables.data.benchmarks.table import read_table
from nrtune.trainables.data.sequences import to_text
from nrtune.trainables.data.simulate import HDF5_NAME
from nrtune.trainables.data.variant_windows import variant_windows
from nrtune.trainables.evaluation.metrics import spearman
from nrtune.trainables.evaluation.predictions import variant_metrics

GENOME = "".join(np.random.default_rng(0).choice(list("ACGT"), 400))
LENGTH = 20
SHARED = next(i for i in range(90, 200) if GENOME[i] not in (GENOME[i + 2], "T"))
"""A base that a deletion and an insertion behind it share with the reference, and that can't be told to end them."""


def write(folder: Path, rows: dict[str, list[object]], name: str = "mine.tsv") -> Path:
    path = folder / name
    pd.DataFrame(rows).to_csv(path, sep="," if ".csv" in name else "\t", index=False)
    return path


def by_coordinates(folder: Path, **more: list[object]) -> Path:
    """A base at each end of the contig, one in the middle, a deletion and an insertion."""
    (folder / "genome.fa").write_text(f">chr1\n{GENOME}\n")
    other = ["ACGT"["ACGT".index(GENOME[at - 1]) - 1] for at in (1, 200, 400)]
    return write(folder, {
        "chrom": ["chr1"] * 5, "pos": [1, 200, 400, SHARED + 1, SHARED + 1],
        "ref": [GENOME[0], GENOME[199], GENOME[399], GENOME[SHARED : SHARED + 3], GENOME[SHARED]],
        "alt": [*other, GENOME[SHARED], GENOME[SHARED] + "TT"], "value": [0.1, -0.2, 0.3, 0.4, 0.5], **more,
    })  # fmt: skip


def by_sequences(folder: Path, n: int = 24, **more: list[object]) -> Path:
    draw = np.random.default_rng(1).choice
    both = {column: ["".join(draw(list("ACGT"), 12)) for _ in range(n)] for column in ("ref_seq", "alt_seq")}
    return write(folder, {**both, "value": list(np.round(np.random.default_rng(2).normal(size=n), 3)), **more})


def test_windows_of_coordinates_are_cut_from_the_genome(tmp_path):
    variants = read_table(by_coordinates(tmp_path), length=LENGTH)
    padded = "N" * LENGTH + GENOME + "N" * LENGTH
    ref = [to_text(variants.windows[row]) for row in variants.ref_window]
    alt = [to_text(variants.windows[row]) for row in variants.alt_window]
    for row, at in enumerate((1, 200, 400)):
        expected = padded[LENGTH + at - 1 - LENGTH // 2 :][:LENGTH]
        assert ref[row] == expected
        assert [i for i in range(LENGTH) if ref[row][i] != alt[row][i]] == [LENGTH // 2]
    first = SHARED + 1
    deleted = GENOME[:first] + GENOME[first + 2 :]
    assert alt[3] == deleted[first - LENGTH // 2 :][:LENGTH]
    inserted = GENOME[:first] + "TT" + GENOME[first:]
    assert alt[4] == inserted[first - LENGTH // 2 :][:LENGTH]
    assert not variants.ref_mismatch.any()
    assert variants.block is None
    assert variants.pos.tolist() == [1, 200, 400, SHARED + 1, SHARED + 1]


def test_one_indel_has_one_pair_of_windows_wherever_it_is_written(tmp_path):
    """Those of the same variant of a VCF."""
    path = write(
        tmp_path,
        {"chrom": ["chr1"] * 4, "pos": [10, 13, 10, 15], "ref": ["GA", "AA", "G", "AC"], "alt": ["G", "A", "GA", "AAC"],
         "value": [0.1, 0.2, 0.3, 0.4]},
    )  # fmt: skip
    contig = "TGTCATTACGAAAAACGGTCATTGCAGTCTTA"
    (tmp_path / "genome.fa").write_text(f">chr1\n{contig}\n")
    variants = read_table(path, length=LENGTH)
    assert variants.ref_window[0] == variants.ref_window[1]
    assert variants.alt_window[0] == variants.alt_window[1] != variants.alt_window[2]
    assert variants.alt_window[2] == variants.alt_window[3]
    expected = variant_windows(lambda a, b: contig[a:b], len(contig), 12, "AA", "A", LENGTH)
    assert (variants.windows[variants.ref_window[0]] == expected.ref).all()
    assert (variants.windows[variants.alt_window[0]] == expected.alt).all()


@pytest.mark.parametrize("values", [(0.1, 0.2), (0.1, 0.1)])
@pytest.mark.parametrize(
    "both",
    [
        [("chr1", 10, "GA", "G"), ("chr1", 13, "AA", "A")],
        [("chr1", 10, "G", "GA"), ("1", 15, "AC", "AAC")],
        [("chr1", 3, "TC", "TA"), ("chr1", 4, "C", "A")],
    ],
)
def test_one_variant_that_is_written_in_two_ways_is_there_twice(tmp_path, both, values):
    (tmp_path / "genome.fa").write_text(">chr1\nTGTCATTACGAAAAACGGTCATTGCAGTCTTA\n")
    rows = [*both, ("chr1", 20, "C", "A"), ("chr1", 20, "C", "G")]
    columns = dict(zip(("chrom", "pos", "ref", "alt"), map(list, zip(*rows, strict=True)), strict=True))
    variants = read_table(write(tmp_path, {**columns, "value": [*values, 0.3, 0.4]}), length=LENGTH)
    (found,) = [one for one in audit_variants(variants) if one.id == "variant-twice"]
    assert (found.severity, found.count) == ("error" if values[0] != values[1] else "warning", 2)
    parts = write(tmp_path, {**columns, "value": [*values, 0.3, 0.4], "part": ["select", "report", "report", "report"]})
    (found,) = [one for one in audit_variants(read_table(parts, length=LENGTH)) if one.id == "parts-share-variants"]
    assert (found.severity, found.count) == ("error", 2)


def test_sequences_are_padded_and_independent(tmp_path):
    path = by_sequences(tmp_path)
    variants = read_table(path, length=LENGTH)
    given = pd.read_csv(path, sep="\t")
    ref = [to_text(variants.windows[row]) for row in variants.ref_window]
    assert ref == [f"NNNN{sequence}NNNN" for sequence in given["ref_seq"]]
    assert len(set(variants.block)) == len(variants)
    assert (variants.elements, variants.parts, variants.strata) == (("mine",), ("",), ())


def test_everything_that_a_table_may_have(tmp_path):
    n = 48
    path = by_sequences(
        tmp_path, n, stratum=["hc", "lc"] * 24, element=["E1"] * 24 + ["E2"] * 24, part=["report", "report", "select"] * 16,
        standard_error=[0.1] * n, cell_line=["K562"] * 24 + ["HepG2"] * 24, other=["x"] * n,
    )  # fmt: skip
    assert read_table(path, length=LENGTH, cell_line="K562").elements == ("E1",)
    assert len(read_table(path, length=LENGTH, cell_line="K562")) == 24
    variants = read_table(path, length=LENGTH)
    assert (variants.elements, variants.matched, variants.strata) == (("E1", "E2"), ("E1", "E2"), ("hc", "lc"))
    assert variants.prefixes == {"": "table", "select": "table/select"}
    assert variants.selectable == ("select",)
    effect = np.random.default_rng(3).normal(size=n)
    found = variant_metrics(variants, effect)
    table = pd.read_csv(path, sep="\t").assign(effect=effect)
    rows = table[(table["element"] == "E1") & (table["part"] == "report")]
    assert found["table/spearman/all/E1"] == spearman(rows["effect"], rows["value"])
    assert found["table/spearman/all/mean"] == np.mean([found[f"table/spearman/all/{e}"] for e in ("E1", "E2")])
    assert found["table/n/hc/E1"] == (rows["stratum"] == "hc").sum()
    assert found["table/select/n/all/E2"] == 8
    assert {"standard_error", "block"} <= set(variants.table())


def test_the_same_table_has_the_same_digest_and_another_another(tmp_path):
    path = by_sequences(tmp_path)
    first = read_table(path, length=LENGTH).digest
    assert read_table(path, length=LENGTH).digest == first
    packed = tmp_path / "mine.tsv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_table(packed, length=LENGTH).digest == first
    table = pd.read_csv(path, sep="\t")
    table.to_csv(tmp_path / "mine.csv", index=False)
    assert read_table(tmp_path / "mine.csv", length=LENGTH).digest == first
    table.assign(value=-table["value"]).to_csv(path, sep="\t", index=False)
    assert read_table(path, length=LENGTH).digest != first


def test_a_ref_that_differs_from_the_genome_is_kept_and_said(tmp_path):
    path = by_coordinates(tmp_path)
    table = pd.read_csv(path, sep="\t")
    table.loc[1, "ref"] = next(base for base in "ACGT" if base not in (table.loc[1, "ref"], table.loc[1, "alt"]))
    table.to_csv(path, sep="\t", index=False)
    variants = read_table(path, length=LENGTH)
    assert variants.ref_mismatch.tolist() == [False, True, False, False, False]
    (finding,) = variants.findings
    assert (finding.id, finding.severity, finding.count, finding.of) == ("ref-disagrees", "error", 1, 5)
    assert finding.example.startswith(
        f"{table['pos'][1]} {table['ref'][1]}>{table['alt'][1]}, where the reference has "
    )


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"value": ["a"] * 5}, "column value, row 1: 'a' is not a finite number"),
        ({"pos": [900] * 5}, "no variant is left; mine.tsv: positions lie outside the reference; left out"),
        ({"pos": [1.5, 1, 1, 1, 1]}, "column pos, row 1: '1.5' is not a whole number"),
        ({"pos": ["1_0"] * 5}, "column pos, row 1: '1_0' is not a finite number"),
        ({"value": ["1,5"] * 5}, "column value, row 1: '1,5' is not a finite number"),
        ({"value": [True] * 5}, "column value, row 1: 'True' is not a finite number"),
        ({"chrom": ["chr2"] * 5}, "row 1: genome.fa has no chr2"),
        ({"alt": ["-"] * 5}, "each must be of A C G T"),
        ({"alt": ["A" * 70] * 5}, "its alleles differ in more than 50 bases"),
        ({"standard_error": [-1.0] * 5}, "column standard_error, row 1: -1 is negative"),
        ({"stratum": ["all"] * 5}, "column stratum: 'all' can't be a name here"),
        ({"element": ["a(b)"] * 5}, "column element: 'a(b)' can't be a name here"),
        ({"part": ["train"] * 5}, "column part, row 1: 'train' is neither select nor report"),
        ({"element": [""] + ["e"] * 4}, "column element, row 1: is empty"),
        ({"cell_line": ["HepG2"] * 5}, "holds no variant of K562; it has HepG2"),
    ],
)
def test_what_is_wrong_is_one_sentence(change, wrong, tmp_path):
    path = by_coordinates(tmp_path, **change)
    with pytest.raises(UserError, match=f"^{path}") as caught:
        read_table(path, length=LENGTH, cell_line="K562")
    assert wrong in str(caught.value)


def test_files_that_are_no_such_table(tmp_path):
    with pytest.raises(UserError, match="no such file; give a table of variants"):
        read_table(tmp_path / "none.tsv")
    path = write(tmp_path, {"value": [1.0], "pos": [2]})
    with pytest.raises(
        UserError, match=r"needs column value, and either chrom, pos, ref, alt or ref_seq, alt_seq \(it has"
    ):
        read_table(path)
    path = by_coordinates(tmp_path)
    (tmp_path / "genome.fa").unlink()
    with pytest.raises(UserError, match=r"the genome must be the one FASTA file beside it \(there is none\)"):
        read_table(path)
    with pytest.raises(UserError, match="row 1, ref_seq: has 12 bases; the models are of 8"):
        read_table(by_sequences(tmp_path), length=8)


def test_variants_of_one_element_on_several_chromosomes(tmp_path):
    """A position alone does not name them: neither a file of predictions nor a block takes two for one."""
    (tmp_path / "genome.fa").write_text(f">chr1\n{GENOME}\n>chr2\n{GENOME}\n")
    ref, alt = GENOME[99], "ACGT"["ACGT".index(GENOME[99]) - 1]
    sites = {"chrom": ["chr1", "chr2"], "pos": [100, 100], "ref": [ref] * 2, "alt": [alt] * 2}
    variants = read_table(write(tmp_path, {**sites, "value": [1.0, 2.0]}), length=LENGTH)
    assert variants.scattered
    predicted = write(tmp_path, {**sites, "element": ["mine"] * 2, "variant_effect": [0.1, 0.2]}, "predicted.tsv")
    assert read_effects(predicted, variants).effect.tolist() == [0.1, 0.2]
    bare = write(tmp_path, {**{k: v for k, v in sites.items() if k != "chrom"}, "element": ["mine"] * 2,
                            "variant_effect": [0.1, 0.2]}, "bare.tsv")  # fmt: skip
    with pytest.raises(UserError, match="lacks column chrom"):
        read_effects(bare, variants)
    assert len(set(position_blocks(apart(variants.table(), 10), 10))) == 2


def test_alleles_and_names_as_people_write_them(tmp_path):
    """Lower-case alleles are those of a file of predictions; a name that no tracker takes is made one."""
    path = by_coordinates(tmp_path)
    table = pd.read_csv(path, sep="\t")
    table.assign(ref=table["ref"].str.lower(), alt=table["alt"].str.lower()).to_csv(
        tmp_path / "mine (1).tsv", sep="\t", index=False
    )
    variants = read_table(tmp_path / "mine (1).tsv", length=LENGTH)
    assert variants.elements == ("mine _1_",)
    predicted = variants.table().assign(variant_effect=[0.1, 0.2, 0.3, 0.4, 0.5])
    predicted.to_csv(tmp_path / "predicted.csv", index=False)
    assert read_effects(tmp_path / "predicted.csv", variants).effect.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_blank_standard_error_is_unknown(tmp_path):
    errors = read_table(by_coordinates(tmp_path, standard_error=[0.1, "", 0.2, 0.3, 0.4]), length=LENGTH).standard_error
    assert np.isnan(errors).tolist() == [False, True, False, False, False]


def test_a_damaged_archive_and_sequences_of_two_lengths(tmp_path):
    packed = gzip.compress(b"value\tref_seq\talt_seq\n" + b"1\tACGT\tACGA\n" * 500)
    (tmp_path / "torn.tsv.gz").write_bytes(packed[:40] + b"\x00" * 30 + packed[70:])
    with pytest.raises(UserError, match=r"is a damaged \.gz file"):
        read_table(tmp_path / "torn.tsv.gz")
    path = write(tmp_path, {"value": [1.0], "ref_seq": ["ACGT"], "alt_seq": ["ACG"]})
    with pytest.raises(UserError, match="row 1: the sequences have 4 and 3 bases; give both of one length"):
        read_table(path, length=LENGTH)


def test_it_is_told_from_a_data_set(tmp_path, simulated_folder):
    recognises = BENCHMARKS.get("table").recognises
    assert recognises(by_sequences(tmp_path))
    assert recognises(by_coordinates(tmp_path))
    assert not recognises(tmp_path)
    (tmp_path / "prixfixe.tsv").write_text("name\tseq\tmean_value\tfold\n")
    assert not recognises(tmp_path / "prixfixe.tsv")
    text = by_sequences(tmp_path).read_bytes()
    for name, content in (
        ("v.tab", text),
        ("v", text),
        ("v.txt.1", gzip.compress(text)),
        ("v.export", b"\xef\xbb\xbf" + text),
    ):
        (tmp_path / name).write_bytes(content)
        assert recognises(tmp_path / name)
    for name, content in (("b.tsv", bytes(range(256))), ("e.tsv", b""), ("t.tsv.gz", gzip.compress(text)[:-9])):
        (tmp_path / name).write_bytes(content)
        assert not recognises(tmp_path / name)
    assert not recognises(tmp_path / "no" / "file.tsv")
    assert not recognises(simulated_folder / HDF5_NAME)


def of_pairs(folder: Path, pairs: list[tuple[str, str]]) -> Path:
    ref, alt = map(list, zip(*pairs, strict=True))
    return write(folder, {"ref_seq": ref, "alt_seq": alt, "value": list(range(len(pairs)))})


@pytest.mark.parametrize("size", [24, 60, 200])
def test_sequences_that_have_nothing_in_common_are_an_error_with_their_row(tmp_path, size):
    draw = np.random.default_rng(5).choice
    first, second = ("".join(draw(list("ACGT"), size)) for _ in range(2))
    at = size // 2
    changed = f"{first[:at]}{'ACGT'['ACGT'.index(first[at]) - 1]}{first[at + 1 :]}"
    inserted = f"{first[:3]}GATTACA{first[3:-7]}"
    good = [(first, changed), (first, inserted), (first, f"{'N' * (size - 12)}{first[-12:]}"), (first, changed)]
    assert [one.id for one in read_table(of_pairs(tmp_path, good), length=200).findings] == []
    (found,) = read_table(of_pairs(tmp_path, [*good, (first, second)]), length=200).findings
    assert (found.id, found.severity, found.count, found.example) == ("sequences-unrelated", "error", 1, "row 5")
    turned = changed.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    (found,) = read_table(of_pairs(tmp_path, [*good, (first, turned)]), length=200).findings
    assert found.what == "ref_seq and alt_seq of one row have nothing in common: alt_seq is the other strand's"


def test_a_row_is_counted_as_in_the_table_where_copies_are_left_out(tmp_path):
    path = write(tmp_path, {"ref_seq": ["ACG", "ACG", "ACG"], "alt_seq": ["AAG", "AAG", "AC"], "value": [1, 1, 2]})
    with pytest.raises(UserError, match=r"row 3: the sequences have 3 and 2 bases"):
        read_table(path, length=LENGTH)


@pytest.mark.parametrize("separator", ["|", " ", ";", ",", "\t"])
def test_a_table_is_known_whatever_separates_its_columns(tmp_path, separator):
    path = by_coordinates(tmp_path, part=["Select", "report", "REPORT", "select", "report"])
    pd.read_csv(path, sep="\t").to_csv(path, sep=separator, index=False)
    (tmp_path / "genome.fa").rename(tmp_path / "Genome.FA")
    assert BENCHMARKS.get("table").recognises(path)
    assert read_table(path, length=LENGTH).part.tolist() == [1, 0, 0, 1, 0]
