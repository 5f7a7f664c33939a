"""The saturation mutagenesis study's table: windows worked out by hand, strata, assemblies, and what is said of wrong files."""

from __future__ import annotations

import bz2
import gzip
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from satmut_files import write_table
from scipy import stats

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks._windows import REFERENCES
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.benchmarks.satmut import TABLE, read_satmut
from nrtune.trainables.data.sequences import to_text
from nrtune.trainables.evaluation.predictions import variant_metrics
from nrtune.trainables.evaluation.scoring import variant_effects
from nrtune.trainables.models.prediction import Prediction

SEQUENCE = "ACGGTCAATG"
LDLR = {"chrom": "chr19", "start": 101, "end": 110, "sequence": SEQUENCE}


def row(pos: int, ref: str, alt: str, element: str = "LDLR", **more: object) -> dict[str, object]:
    return {"Pos": pos, "Ref": ref, "Alt": alt, "Element": element, **more}


def read(tmp_path, rows, references=None, length=6, cell_line="HepG2"):
    folder = write_table(tmp_path / "satmut", rows, {"LDLR": LDLR} if references is None else references)
    return read_satmut(folder, length=length, cell_line=cell_line)


def windows_of(variants, number):
    return tuple(to_text(variants.windows[of[number]]) for of in (variants.ref_window, variants.alt_window))


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "windows"),
    [
        (105, "T", "A", ("CGGTCA", "CGGACA")),
        (105, "T", "-", ("CGGTCA", "CGGCAA")),  # what lies behind moves up, and one more base comes in
        (101, "A", "G", ("NNNACG", "NNNGCG")),
        (101, "A", "-", ("NNNACG", "NNNCGG")),
        (110, "G", "C", ("AATGNN", "AATCNN")),
        (110, "G", "-", ("AATGNN", "AATNNN")),
    ],
)
def test_windows_have_the_variant_in_the_middle(tmp_path, pos, ref, alt, windows):
    assert windows_of(read(tmp_path, [row(pos, ref, alt)]), 0) == windows


def test_the_other_strand_is_turned_round(tmp_path):
    references = {"SORT1": LDLR}
    rows = [row(105, "T", "A", "SORT1"), row(105, "T", "A", "SORT1-flip"), row(105, "T", "-", "SORT1-flip")]
    variants = read(tmp_path, rows, references)
    assert variants.elements == ("SORT1", "SORT1-flip")
    assert windows_of(variants, 0) == ("CGGTCA", "CGGACA")
    assert windows_of(variants, 1) == ("TGACCG", "TGTCCG")
    assert windows_of(variants, 2) == ("TGACCG", "TTGCCG")


def test_data_sets_are_mapped_to_elements_and_cell_lines(tmp_path):
    names = ("GP1BA", "PKLR-24h", "PKLR-48h", "SORT1", "SORT1.2", "SORT1-flip", "TERT-HEK")
    references = dict.fromkeys(("GP1BB", "PKLR", "SORT1"), LDLR)
    variants = read(tmp_path, [row(105, "T", "A", name) for name in names], references)
    assert variants.elements == names[:-1]
    assert variants.matched == ("SORT1", "SORT1.2", "SORT1-flip")  # of HepG2
    assert variants.notes == ("no reference sequence for TERT-HEK: left out",)
    folder = tmp_path / "satmut"
    assert read_satmut(folder, length=6, cell_line="K562").matched == ("GP1BA", "PKLR-24h", "PKLR-48h")
    assert read_satmut(folder, length=6, cell_line="HEL92.1.7").matched == ("GP1BA",)
    with pytest.raises(UserError, match="unknown cell line 'HepG3'; did you mean 'HepG2'"):
        read_satmut(folder, cell_line="HepG3")


def test_high_confidence_is_the_studys_own(tmp_path):
    cases = [(1e-6, 10), (1e-5, 50), (9.9e-6, 9), (9.9e-6, 10), (0.5, 400)]
    variants = read(tmp_path, [row(105, "T", "A", pValue=p, Barcodes=n) for p, n in cases])
    assert variants.columns["significant"].tolist() == [True, False, False, True, False]


def test_the_assembly_is_that_of_the_references(tmp_path):
    rows = [row(105, "T", "A"), row(205, "T", "A", Release="GRCh38", Coefficient=0.7)]
    assert read(tmp_path, rows).assembly == "GRCh37"
    other = read(tmp_path, rows, {"LDLR": {**LDLR, "start": 201, "end": 210}})
    assert (other.assembly, other.value.tolist(), other.pos.tolist()) == ("GRCh38", [0.7], [205])
    with pytest.raises(UserError, match="no variant is left; satmut, LDLR: positions lie outside the reference"):
        read(tmp_path, rows, {"LDLR": {**LDLR, "start": 301, "end": 310}})


def test_a_ref_that_differs_is_kept_and_counted(tmp_path):
    rows = [row(100 + i, base, "-") for i, base in enumerate(SEQUENCE, start=1)] + [row(105, "G", "A")]
    variants = read(tmp_path, rows)
    assert variants.ref_mismatch.tolist() == [False] * 10 + [True]
    assert windows_of(variants, 10) == ("CGGGCA", "CGGACA")
    assert variants.counts().to_dict("records") == [
        {"element": "LDLR", "part": "", "n": 11, "hc": 11, "lc": 0, "deletions": 10, "ref_mismatch": 1, "matched": True}
    ]


def test_rows_that_say_too_little_are_left_out_and_said(tmp_path):
    rows = [
        row(105, "T", "A"),
        row(105, "T", "T"),
        row(105, "TC", "A"),
        row(105, "T", "A", Coefficient=None),
        row(105, "T", "N"),
    ]
    variants = read(tmp_path, rows)
    assert len(variants) == 1
    assert variants.notes == ("rows without a position, alleles or a coefficient: 3 left out",)
    assert [(found.id, found.severity, found.count) for found in variants.findings] == [("ref-is-alt", "error", 1)]


@pytest.mark.parametrize("deleted", ["-", "del", "DEL", "<DEL>", "delT", "\N{EN DASH}", "Deletion"])
def test_a_deletion_is_read_as_people_write_it(tmp_path, deleted):
    variants = read(tmp_path, [row(105, "T", deleted), row(106, "C", "A")])
    assert (variants.alt.tolist(), variants.notes) == (["-", "A"], ())


def test_a_deletion_may_be_written_as_in_a_vcf(tmp_path):
    """Behind the base before it, whose position is given."""
    there = read(tmp_path, [row(105, "T", "-"), row(106, "C", "A")])
    variants = read(tmp_path, [row(104, "gT", "G"), row(106, "C", "A")])
    assert (variants.pos.tolist(), variants.ref.tolist(), variants.alt.tolist()) == ([105, 106], ["T", "C"], ["-", "A"])
    assert variants.digest == there.digest


@pytest.mark.parametrize("deleted", ["", ".", "*"])
def test_what_may_be_a_deletion_or_nothing_is_asked_for(tmp_path, deleted):
    with pytest.raises(UserError, match=r"column Alt, row 2: '.?' may be a deletion or a missing allele .1 row."):
        read(tmp_path, [row(106, "C", "A"), row(105, "T", deleted)])
    variants = read(tmp_path, [row(106, "C", "A"), row(105, "T", deleted), row(107, "A", "-")])
    assert (len(variants), variants.notes) == (2, ("rows without a position, alleles or a coefficient: 1 left out",))


@pytest.mark.parametrize(("chrom", "found"), [("19", 0), ("chr19", 0), ("Chr19", 0), ("19.0", 0), ("NA", 0), ("18", 1)])
def test_another_chromosome_than_the_references_is_told(tmp_path, chrom, found):
    variants = read(tmp_path, [row(105, "T", "A"), row(106, "C", "A", Chrom=chrom)])
    assert [(one.id, one.count, one.example) for one in variants.findings] == [("chrom-disagrees", 1, "row 2")] * found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="pValue"), "has no column pValue; it needs Chrom, Pos"),
        (
            lambda table: table.assign(Coefficient="strong"),
            "column Coefficient, row 1: 'strong' is not a finite number",
        ),
        (lambda table: table.assign(Coefficient="0,5"), "column Coefficient, row 1: '0,5' is not a finite number"),
        (lambda table: table.assign(Barcodes="1_0"), "column Barcodes, row 1: '1_0' is not a finite number"),
        (lambda table: table.assign(Pos="here"), "column Pos, row 1: 'here' is not a finite number"),
        (lambda table: table.assign(Pos=105.5), "column Pos, row 1: '105.5' is not a whole number"),
        (lambda table: table.assign(Element=" "), "column Element, row 1: is empty"),
        (lambda table: table.assign(Element="a/b"), "column Element: 'a/b' can't be a name here"),
        (lambda table: table.iloc[:0], "holds no variants"),
        (lambda table: table.assign(Element="HBB"), "can be scored .no reference sequence for HBB: left out"),
    ],
)
def test_wrong_tables_are_one_sentence(tmp_path, change, message):
    folder = write_table(tmp_path, [row(105, "T", "A")], {"LDLR": LDLR})
    table = pd.read_csv(folder / TABLE, sep="\t")
    change(table).to_csv(folder / TABLE, sep="\t", index=False)
    with pytest.raises(UserError, match=message):
        read_satmut(folder, cell_line="HepG2")


SATMUT_FORMS = {
    "lower": lambda text: text.replace("\tT\tA\t", "\tt\ta\t"),
    "windows": lambda text: text.replace("\n", "\r\n"),
    "mark": lambda text: "\ufeff" + text,
    "blank": lambda text: text.replace("\n", "\n\n"),
    "commas": lambda text: text.replace("\t", ","),
    "no release": lambda text: text.replace("Release", "Other"),
    "empty release": lambda text: text.replace("GRCh37", ""),
}


@pytest.mark.parametrize("form", [*SATMUT_FORMS, "plain", "bz2"])
def test_tables_are_read_as_people_have_them(form, tmp_path):
    rows = [row(105, "T", "A"), row(105, "T", "-")]
    expected = read(tmp_path, rows)
    file = tmp_path / "satmut" / TABLE
    text = gzip.decompress(file.read_bytes()).decode()
    if form in SATMUT_FORMS:
        file.write_bytes(gzip.compress(SATMUT_FORMS[form](text).encode()))
    else:
        file.unlink()
        (file.parent / f"elements.tsv{'' if form == 'plain' else '.bz2'}").write_bytes(
            text.encode() if form == "plain" else bz2.compress(text.encode())
        )
    variants = read_satmut(file.parent, length=6, cell_line="HepG2")
    assert variants.digest == expected.digest
    assert variants.assembly == ("" if "release" in form else "GRCh37")


def test_a_reference_of_the_other_assembly_is_told(tmp_path):
    """The others' are of GRCh37, and this one's agrees with the rows of GRCh38."""
    sequence = "".join(np.random.default_rng(0).choice(list("ACGT"), 60))
    rows = []
    for name, releases in (("LDLR", {"GRCh37": 100, "GRCh38": 5000}), ("SORT1", {"GRCh37": 100, "GRCh38": 6000})):
        for release, start in releases.items():
            rows += [row(start + i, base, "-", name, Release=release) for i, base in enumerate(sequence)]
    rows += [row(100 + i, base, "ACGT"["TGCA".index(base)], "LDLR") for i, base in enumerate(sequence)]
    references = {
        name: {"chrom": "chr1", "start": start, "sequence": sequence}
        for name, start in (("LDLR", 100), ("SORT1", 6000))
    }
    variants = read(tmp_path, rows, references)
    (found,) = variants.findings
    assert (variants.assembly, found.id, found.severity) == ("GRCh37", "outside-reference", "error")
    assert "the reference is of GRCh38, unlike the others', which are of GRCh37" in found.what


def test_p_values_that_are_none_are_found(tmp_path):
    (found,) = read(tmp_path, [row(105, "T", "A", pValue=7.3), row(106, "C", "A")]).findings
    assert (found.id, found.severity, found.count, found.of) == ("p-value-range", "error", 1, 2)


def test_missing_and_damaged_files_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no such file; nrtune data fetch satmut"):
        read_satmut(tmp_path)
    folder = write_table(tmp_path, [row(105, "T", "A")] * 200, {"LDLR": LDLR})
    with pytest.raises(UserError, match=r"holds no element of K562; it has LDLR \(HepG2\); give --cell-line"):
        read_satmut(folder, cell_line="K562")
    assert read_satmut(folder).cell_line == "HepG2"  # the one that all are of
    whole = (folder / TABLE).read_bytes()
    (folder / TABLE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"is a damaged \.gz file"):
        read_satmut(folder, cell_line="HepG2")
    (folder / TABLE).write_bytes(gzip.compress(b""))
    with pytest.raises(UserError, match="is empty"):
        read_satmut(folder, cell_line="HepG2")


def test_a_position_outside_its_reference_is_named(tmp_path):
    rows = [row(100 + i, base, "-") for i, base in enumerate(SEQUENCE, start=1)] + [row(111, "T", "A")]
    variants = read(tmp_path, rows)
    assert len(variants) == 10
    (found,) = variants.findings
    assert (found.id, found.severity, found.count, found.of) == ("outside-reference", "error", 1, 11)
    assert found.example == "position 111"


def test_the_digest_follows_what_is_scored(tmp_path):
    digests = {
        read(tmp_path, [row(105, "T", "A", **change)]).digest
        for change in ({}, {"Coefficient": 0.6}, {"pValue": 0.5}, {"Alt": "-"}, {"DNA": 7})
    }
    assert len(digests) == 4  # DNA decides nothing


class CountG(torch.nn.Module):
    """Predicts the number of G."""

    def forward(self, tokens: torch.Tensor) -> Prediction:
        mean = (tokens == 2).sum(dim=1).float()
        return Prediction(mean, None, mean[:, None], {})


def test_effects_of_a_model_whose_answer_is_known(tmp_path):
    variants = read(tmp_path, [row(105, "T", "G"), row(104, "G", "-"), row(105, "T", "-")])
    table = variant_effects(CountG(), variants, torch.device("cpu"))
    assert table["variant_effect"].tolist() == [1.0, -1.0, 0.0]


@pytest.fixture(scope="module")
def study(real_data, tmp_path_factory):
    """The study's own table beside the references of CAGI5's seven elements."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copy(real_data / "satmut" / TABLE, folder / TABLE)
    shutil.copy(real_data / "cagi5" / REFERENCES, folder / REFERENCES)
    return folder


def test_metrics_are_scipys(study):
    """On the study's own table, every data set and stratum, for effects that are the values with noise."""
    variants = read_satmut(study)
    effect = variants.value + np.random.default_rng(0).normal(size=len(variants))
    found = variant_metrics(variants, effect)
    table = variants.table().assign(effect=effect)
    means: dict[str, dict[str, list[float]]] = {}
    for element, rows in table.groupby("element"):
        for stratum, part in (("all", rows), ("hc", rows[rows["significant"]]), ("lc", rows[~rows["significant"]])):
            assert found[f"satmut/n/{stratum}/{element}"] == len(part)
            for kind, of in (("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
                expected = of(part["effect"], part["value"]).statistic
                assert found[f"satmut/{kind}/{stratum}/{element}"] == pytest.approx(expected, abs=1e-10)
                if element in variants.matched:
                    locus = element.partition("-")[0]  # PKLR was measured after 24 and after 48 hours
                    of_loci = means.setdefault(f"satmut/{kind}/{stratum}/mean", {})
                    of_loci.setdefault(locus, []).append(expected)
    assert set(means["satmut/spearman/all/mean"]) == {"GP1BA", "HBB", "HBG1", "PKLR"}
    for name, of_loci in means.items():
        expected = np.mean([np.mean(values) for values in of_loci.values()])
        assert found[name] == pytest.approx(expected, abs=1e-10)
    assert found["satmut/hc_lc_gap"] == pytest.approx(
        found["satmut/spearman/hc/mean"] - found["satmut/spearman/lc/mean"], abs=1e-10
    )


def test_the_real_table_agrees_with_cagi5(study, real_data):
    """The same windows for the same variants; and the measured effects, which CAGI5 rounded and computed anew."""
    ours, cagi5 = read_satmut(study), read_cagi5(real_data / "cagi5")
    assert ours.assembly == "GRCh37"
    assert ours.matched == ("GP1BA", "HBB", "HBG1", "PKLR-24h", "PKLR-48h")
    columns = ["element", "pos", "ref", "alt"]
    theirs = cagi5.table().assign(window=cagi5.alt_window, ref_window=cagi5.ref_window)
    table = ours.table().assign(number=np.arange(len(ours)))
    assert (table["alt"] == "-").sum() == ours.counts()["deletions"].sum() > 1000
    for element in ("HBB", "HBG1", "LDLR"):
        here = table[table["element"] == element].merge(theirs[theirs["element"] == element], on=columns, how="inner")
        assert len(here) >= 0.99 * (theirs["element"] == element).sum()  # the study's table lacks a few
        assert (ours.windows[ours.alt_window[here["number"]]] == cagi5.windows[here["window"]]).all()
        assert (ours.windows[ours.ref_window[here["number"]]] == cagi5.windows[here["ref_window"]]).all()
        assert stats.pearsonr(here["value_x"], here["value_y"]).statistic > 0.96


def test_counts_are_those_of_the_file(study):
    table = pd.read_csv(study / TABLE, sep="\t", dtype={"Chrom": str})
    table = table[table["Release"] == "GRCh37"]
    counts = read_satmut(study).counts().set_index("element")
    for element, row_of in counts.iterrows():
        rows = table[table["Element"] == element]
        high = (rows["pValue"] < 1e-5) & (rows["Barcodes"] >= 10)
        assert (row_of["n"], row_of["hc"]) == (len(rows), high.sum())
        assert row_of["deletions"] == (rows["Alt"] == "-").sum()


@pytest.mark.parametrize(
    ("key", "text"), [("chrom", "\ud800"), ("chrom", "7\n8"), ("cell_line", "K5\n62"), ("cell_line", "\udcff")]
)
def test_a_name_that_no_file_can_hold_is_refused(tmp_path, key, text):
    with pytest.raises(UserError, match=f"LDLR: {key} is"):
        read(tmp_path, [row(105, "T", "A", Chrom="19")], {"LDLR": {**LDLR, key: text}})
