"""`nrtune predict`: windows worked out by hand, and VCFs that real tools write, read or refused, never misread."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pysam
import pytest
import torch
from in_process import run
from satmut_files import write_table
from scipy import stats

from nrtune.analysis.store.records import TrialRecord
from nrtune.orchestrator.inference import predictor as predictor_module
from nrtune.orchestrator.inference.predictor import Predictor, means_of, predictor_of
from nrtune.orchestrator.inference.vcf import FINDINGS, Counts, predict_vcf
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.benchmarks.satmut import read_satmut
from nrtune.trainables.data.genome import open_genome
from nrtune.trainables.data.sequences import to_text, to_tokens
from nrtune.trainables.data.variant_windows import LONGEST, allele_windows, trim
from nrtune.trainables.evaluation.calibration import Calibration
from nrtune.trainables.evaluation.scoring import variant_effects, variant_metrics
from nrtune.trainables.inference import SequenceModel
from nrtune.trainables.models.prediction import Prediction
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig, preset

LENGTH = 10
CHR1 = "ACGTACGGTTCAGATCCGTA"
CHR2 = "ttacgNNRgact"
HEAD = ("##fileformat=VCFv4.2", "##contig=<ID=chr1>", "##contig=<ID=chr2>",
        '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">', "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")  # fmt: skip


class Weighted(torch.nn.Module):
    """Predicts the sum of a number for each base at each place: every window has its own."""

    def __init__(self, seed: int = 0, length: int = LENGTH) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.from_numpy(np.random.default_rng(seed).normal(size=(length, 5))))

    def forward(self, tokens: torch.Tensor) -> Prediction:
        places = torch.arange(tokens.shape[1])
        mean = self.weights[places, tokens.long()].sum(dim=1)
        return Prediction(mean, None, mean[:, None], {})

    def of(self, text: str) -> float:
        return float(sum(self.weights[i, "ACGTN".index(base)].item() for i, base in enumerate(text)))


AS_IT_IS = Calibration(1.0, 0.0)


def predictor(
    *models: Weighted, calibrations: tuple[Calibration, ...] = (), both_strands: bool = False, raw: bool = False
) -> Predictor:
    config = TrialConfig.from_flat({**preset("small")})
    given = models or (Weighted(),)
    loaded = tuple(
        SequenceModel(config, "f", LENGTH, model, calibration)  # type: ignore[arg-type]
        for model, calibration in zip(given, calibrations or (AS_IT_IS,) * len(given), strict=True)
    )
    names = tuple(f"RS-00{i}" for i in range(len(loaded)))
    return Predictor(campaign="c", what="a test", trials=names, models=loaded, both_strands=both_strands, raw=raw)


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1 the first\n{CHR1[:12]}\n{CHR1[12:]}\n>chr2\n{CHR2}\n")
    return path


def vcf_of(path: Path, *lines: str, head: tuple[str, ...] = HEAD, end: str = "\n") -> Path:
    path.write_bytes(end.join([*head, *lines, ""]).encode())
    return path


def line(chrom: str, pos: int, ref: str, alt: str, info: str = "DP=3", id_: str = ".") -> str:
    return f"{chrom}\t{pos}\t{id_}\t{ref}\t{alt}\t.\tPASS\t{info}"


def predicted(
    vcf: Path, fasta: Path, *models: Weighted, suffix: str = ".vcf"
) -> tuple[Counts, pd.DataFrame, list[str]]:
    """Counts, the table, and the records' lines."""
    out = vcf.with_name(f"out{suffix}")
    counts = predict_vcf(vcf, fasta, out, predictor(*models))
    opened = gzip.open(out, "rt") if suffix.endswith("gz") else out.open()
    with opened as file:
        lines = [text.rstrip("\n") for text in file if not text.startswith("#")]
    return counts, pd.read_parquet(vcf.with_name("out.parquet")), lines


@pytest.mark.parametrize(
    ("start", "ref", "alt", "trimmed"),
    [
        (4, "A", "C", (4, "A", "C")),
        (4, "AC", "A", (5, "C", "")),
        (4, "A", "AC", (5, "", "C")),
        (4, "CAA", "CA", (5, "A", "")),
        (4, "ACGT", "ATGT", (5, "C", "T")),
        (4, "AC", "GT", (4, "AC", "GT")),
        (4, "A", "A", (4, "", "")),
    ],
)
def test_what_alleles_share_is_taken_off(start, ref, alt, trimmed):
    assert trim(start, ref, alt) == trimmed


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "windows"),
    [
        (8, "G", "T", ("GTACGGTTCA", "GTACGTTTCA")),  # 1-based 8 is at index 5
        (1, "A", "C", ("NNNNNACGTA", "NNNNNCCGTA")),
        (20, "A", "C", ("TCCGTANNNN", "TCCGTCNNNN")),
        (7, "GG", "G", ("CGTACGGTTC", "CGTACGTTCA")),  # of equal bases the first goes, the rest moves up
        (19, "TA", "T", ("TCCGTANNNN", "TCCGTNNNNN")),
        (7, "G", "GAA", ("GTACGGTTCA", "GTACGAAGTT")),  # what is put in pushes the rest out
        (8, "GT", "CA", ("GTACGGTTCA", "GTACGCATCA")),
    ],
)
def test_windows_by_hand(pos, ref, alt, windows):
    found = allele_windows(lambda a, b: CHR1[a:b], len(CHR1), pos - 1, ref, alt, LENGTH)
    assert tuple(map(to_text, found)) == windows


def test_a_deleted_base_has_the_windows_of_the_studys_own_table(tmp_path):
    start, rows = 101, []
    for i, base in enumerate(CHR1):
        rows.append({"Pos": start + i, "Ref": base, "Alt": "-", "Element": "LDLR"})
        rows.append({"Pos": start + i, "Ref": base, "Alt": "ACGT"["ACGT".index(base) - 1], "Element": "LDLR"})
    reference = {"chrom": "chr19", "start": start, "end": start + len(CHR1) - 1, "sequence": CHR1}
    variants = read_satmut(write_table(tmp_path, rows, {"LDLR": reference}), length=LENGTH, cell_line="HepG2")
    for row, (pos, alt) in enumerate(zip(variants.pos - start, variants.alt, strict=True)):
        alleles = (CHR1[pos], "") if alt == "-" else (CHR1[pos], str(alt))
        found = allele_windows(lambda a, b: CHR1[a:b], len(CHR1), pos, *alleles, LENGTH)
        assert (found[0] == variants.windows[variants.ref_window[row]]).all()
        assert (found[1] == variants.windows[variants.alt_window[row]]).all()


def test_effects_are_the_models_alt_less_ref(tmp_path, fasta):
    model = Weighted()
    vcf = vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T", id_="rs8"), line("chr1", 7, "G", "GAA,C"))
    counts, table, lines = predicted(vcf, fasta, model)
    assert counts == Counts(3, {}, {})
    ref = model.of("GTACGGTTCA")
    assert table["ref_prediction"].iloc[0] == pytest.approx(ref, abs=1e-5)
    assert table["variant_effect"].tolist() == pytest.approx(
        [model.of("GTACGTTTCA") - ref, model.of("GTACGAAGTT") - ref, model.of("CGTACCGTTC") - model.of("CGTACGGTTC")],
        abs=1e-5,
    )
    assert table["alt"].tolist() == ["T", "GAA", "C"]  # one value an alternative, in their order
    assert (table["variant_effect"] == table["alt_prediction"] - table["ref_prediction"]).all()
    assert lines[0].startswith("chr1\t8\trs8\tG\tT\t.\tPASS\tDP=3;NRTUNE_REF=")
    of_record = dict(field.split("=") for field in lines[1].split("\t")[7].split(";"))
    assert [float(v) for v in of_record["NRTUNE_EFFECT"].split(",")] == pytest.approx(
        table["variant_effect"].tolist()[1:], rel=1e-5
    )
    assert "NRTUNE_LOW" not in of_record  # one model says nothing of its spread
    assert table["low"].isna().all()


def test_the_interval_is_students_t_over_models(tmp_path, fasta):
    models = [Weighted(seed) for seed in range(4)]
    _, table, lines = predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T")), fasta, *models)
    effects = [model.of("GTACGTTTCA") - model.of("GTACGGTTCA") for model in models]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(effects), scale=stats.sem(effects))
    assert table[["variant_effect", "low", "high"]].iloc[0].tolist() == pytest.approx(
        [np.mean(effects), low, high], abs=1e-4
    )
    assert "NRTUNE_LOW=" in lines[0]
    assert np.isnan(means_of(np.ones((1, 3))).low).all()


def test_both_strands_are_averaged():
    model = Weighted()
    expected = (model.of("GTACGGTTCA") + model.of("TGAACCGTAC")) / 2
    for raw, of in ((True, expected), (False, 2 * expected - 7)):
        one = predictor(model, calibrations=(Calibration(2, -7),), both_strands=True, raw=raw)
        assert one.predict(to_tokens(["GTACGGTTCA"], "here"))[0, 0] == pytest.approx(of, abs=1e-5)


@pytest.mark.parametrize(
    ("scored", "asked", "both"), [(True, None, True), (False, None, False), (True, False, False), (False, True, True)]
)
def test_strands_are_averaged_as_a_model_was_scored_unless_asked_otherwise(scored, asked, both, tmp_path, fasta):
    model = Weighted()
    config = TrialConfig.from_flat({**preset("small"), "both_strands": scored})
    loaded = SequenceModel(config, "f", LENGTH, model, AS_IT_IS)  # type: ignore[arg-type]
    one = Predictor(campaign="c", what="a test", trials=("RS-001",), models=(loaded,), both_strands=asked)
    forward, reverse = model.of("GTACGGTTCA"), model.of("TGAACCGTAC")
    expected = (forward + reverse) / 2 if both else forward
    assert one.predict(to_tokens(["GTACGGTTCA"], "here"))[0, 0] == pytest.approx(expected, abs=1e-5)
    assert one.about["both_strands"] == (both,)
    predict_vcf(vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T")), fasta, tmp_path / "out.vcf", one)
    assert f"(RS-001), {'both strands' if both else 'one strand'}, " in (tmp_path / "out.vcf").read_text()
    assert pd.read_parquet(tmp_path / "out.parquet")["ref_prediction"][0] == pytest.approx(expected, abs=1e-4)


def test_models_that_were_scored_otherwise_are_said(tmp_path):
    two = predictor(Weighted(), Weighted(1))
    both = TrialConfig.from_flat({**preset("small"), "both_strands": True})
    two.models[1].config = both
    assert Predictor(campaign="c", what="a test", trials=two.trials, models=two.models).strands == (
        "both strands with 1 of 2 models"
    )


def test_each_model_is_calibrated_then_they_are_averaged(tmp_path, fasta):
    """The mean of raw outputs would be that of the model whose scale is the widest."""
    models, calibrations = [Weighted(seed) for seed in range(3)], [(0.01, 3.0), (1.0, 0.0), (25.0, -40.0)]
    vcf = vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T"))
    of_raw = np.array([[model.of(window) for window in ("GTACGGTTCA", "GTACGTTTCA")] for model in models])
    of_activity = np.array([a * of + b for (a, b), of in zip(calibrations, of_raw, strict=True)])
    for raw, of, scale in ((False, of_activity, "log2(RNA/DNA)"), (True, of_raw, "raw model output")):
        one = predictor(*models, calibrations=tuple(Calibration(*c) for c in calibrations), raw=raw)
        predict_vcf(vcf, fasta, tmp_path / "out.vcf", one)
        row = pd.read_parquet(tmp_path / "out.parquet").iloc[0]
        assert row["ref_prediction"] == pytest.approx(of[:, 0].mean(), abs=1e-4)
        effects = of[:, 1] - of[:, 0]
        low, high = stats.t.interval(0.95, 2, loc=effects.mean(), scale=stats.sem(effects))
        assert row[["variant_effect", "low", "high"]].tolist() == pytest.approx([effects.mean(), low, high], abs=1e-4)
        written = pysam.VariantFile(str(tmp_path / "out.vcf"))
        about = {name: written.header.info[f"NRTUNE_{name}"].description for name in ("REF", "ALT", "EFFECT")}
        assert about["REF"] == f"Prediction for the window with REF, {scale}"
        assert about["EFFECT"] == f"NRTUNE_ALT less NRTUNE_REF, {scale}"
        assert f", {scale}\n" in str(written.header).partition("##nrtune_predict=")[2]
        assert next(iter(written)).info["NRTUNE_EFFECT"][0] == pytest.approx(effects.mean(), rel=1e-4)
        stored = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"nrtune"])
        assert (stored["scale"], stored["calibrations"]) == (scale, [list(c) for c in calibrations])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (line("chr1", 8, "G", "*"), "star"),
        (line("chr1", 8, "G", "<DEL>"), "symbolic"),
        (line("chr1", 8, "G", "G[chr2:3["), "symbolic"),
        (line("chr1", 8, "G", "]chr2:3]G"), "symbolic"),
        (line("chr1", 8, "G", ".TT"), "symbolic"),
        (line("chr1", 8, "G", "."), "no_alternative"),
        (line("chr1", 8, "G", "N"), "not_acgt"),
        (line("chr2", 6, "N", "A"), "not_acgt"),
        (line("chr2", 8, "R", "A"), "not_acgt"),
        (line("chr1", 8, "G", "g"), "same"),
        (line("chr1", 8, "T", "A"), "reference_mismatch"),
        (line("chr2", 6, "A", "C"), "reference_mismatch"),  # the genome says N
        (line("chr1", 0, "N", "A"), "not_acgt"),
        (line("chr1", 0, "A", "C"), "outside_contig"),
        (line("chr1", 21, "A", "C"), "outside_contig"),
        (line("chr1", 20, "AC", "A"), "outside_contig"),
        (line("chr9", 3, "A", "C"), "contig_missing"),
        (line("chr1", 8, "G", "G" + "A" * (LONGEST + 1)), "too_long"),
    ],
)
def test_what_can_not_be_predicted_is_counted_by_reason(tmp_path, fasta, record, reason):
    vcf = vcf_of(tmp_path / "in.vcf", record, line("chr1", 8, "G", "T"))
    counts, table, lines = predicted(vcf, fasta)
    assert (counts.predicted, counts.skipped) == (1, {reason: 1})
    assert table["skipped"].tolist() == [reason, None] or table["skipped"].isna().tolist() == [False, True]
    assert table["skipped"].iloc[0] == reason
    assert math.isnan(table["variant_effect"].iloc[0])
    assert len(lines) == 2
    assert (f"NRTUNE_SKIPPED={reason}" in lines[0]) == (reason != "no_alternative")
    assert lines[0].split("\t")[:5] == record.split("\t")[:5]


def test_letters_of_either_case_are_the_same(tmp_path, fasta):
    vcf = vcf_of(tmp_path / "in.vcf", line("chr2", 3, "A", "C"), line("chr2", 3, "a", "c"))
    model = Weighted()
    counts, table, _ = predicted(vcf, fasta, model)
    assert counts.predicted == 2
    expected = model.of("NNNTTCCGNN") - model.of("NNNTTACGNN")  # IUPAC letters of the genome are N
    assert table["variant_effect"].tolist() == pytest.approx([expected] * 2, abs=1e-5)


def test_some_alternatives_of_a_record_may_be_left_out(tmp_path, fasta):
    _, table, lines = predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T,*,A")), fasta)
    info = dict(field.split("=") for field in lines[0].split("\t")[7].split(";"))
    assert info["NRTUNE_SKIPPED"] == ".,star,."
    values = info["NRTUNE_EFFECT"].split(",")
    assert values[1] == "."
    assert [float(values[0]), float(values[2])] == pytest.approx(table["variant_effect"].dropna().tolist(), rel=1e-5)


def test_contigs_without_chr_are_found_and_said(tmp_path, fasta):
    counts, table, lines = predicted(
        vcf_of(tmp_path / "in.vcf", line("1", 8, "G", "T"), line("chr1", 8, "G", "T")), fasta
    )
    assert counts.renamed == {"1": "chr1"}
    assert table["variant_effect"].nunique() == 1
    assert lines[0].startswith("1\t8\t")


def test_headers_that_lack_what_records_name(tmp_path, fasta):
    bare = ("##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2")
    text = "chr1\t8\t.\tG\tT\t50\tq10\tXX=a;DB\tGT:AD\t0/1:3,4\t./.:."
    _, _, lines = predicted(vcf_of(tmp_path / "in.vcf", text, head=bare), fasta)
    columns = lines[0].split("\t")
    assert columns[:7] == text.split("\t")[:7]
    assert columns[7].startswith("XX=a;DB;NRTUNE_REF=")
    assert columns[8:] == text.split("\t")[8:]
    written = pysam.VariantFile(str(tmp_path / "out.vcf"))
    assert {"chr1"} <= set(written.header.contigs)
    assert next(iter(written)).info["NRTUNE_EFFECT"][0] is not None


def test_records_are_letter_by_letter_what_they_were(tmp_path, fasta):
    """htslib, asked to write them, rounds numbers, and puts . where one does not fit or is none."""
    head = (HEAD[0], "##source=Zürich", *HEAD[3:-1], '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">',
            '##FORMAT=<ID=GL,Number=G,Type=Float,Description="Likelihoods">', f"{HEAD[-1]}\tFORMAT\tS1")  # fmt: skip
    texts = [
        "chr1\t8\t.\tG\tT\t29.123456789\tPASS\tAF=0.3333333333;DP=3000000000\tGL\t-1.234567891,0,-9",
        "chr1\t8\trs8\tg\tt\t1e3\tq10\tDP=many;NOTE=Zürich\tGL:XX\t.",
    ]
    plain = vcf_of(tmp_path / "in.vcf", *texts, head=head)
    for encoding in ("utf-8", "latin-1"):
        plain.write_bytes("\n".join([*head, *texts, ""]).encode(encoding))
        packed = tmp_path / "in.vcf.gz"
        pysam.tabix_compress(str(plain), str(packed), force=True)
        for vcf in (plain, packed):
            counts = predict_vcf(vcf, fasta, tmp_path / "out.vcf", predictor())
            assert counts.predicted == 2
            written = (tmp_path / "out.vcf").read_bytes().decode(encoding).splitlines()
            assert head[1] in written
            for text, found in zip(texts, written[-2:], strict=True):
                before, _, after = found.partition(";NRTUNE_REF=")
                assert f"{before}\t{after.partition(chr(9))[2]}" == text


def test_a_binary_vcf_is_written_as_text(tmp_path, fasta):
    expected = predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T"), line("chr2", 3, "A", "C")), fasta)
    with pysam.VariantFile(str(tmp_path / "in.vcf")) as text:
        with pysam.VariantFile(str(tmp_path / "in.bcf"), "wb", header=text.header) as binary:
            for record in text:
                binary.write(record)
    found = predicted(tmp_path / "in.bcf", fasta)
    assert found[2] == expected[2]
    assert found[1].equals(expected[1])


def test_long_records_are_held_by_their_length(tmp_path, fasta, monkeypatch):
    monkeypatch.setattr("nrtune.orchestrator.inference.vcf.BATCH_BYTES", 100)
    predicted(vcf_of(tmp_path / "in.vcf", *[line("chr1", 8, "G", "T", info=f"XX={'x' * 100}")] * 3), fasta)
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 3


def test_line_ends_of_windows(tmp_path, fasta):
    text = line("chr1", 8, "G", "T")
    plain = predicted(vcf_of(tmp_path / "in.vcf", text), fasta)
    windows = predicted(vcf_of(tmp_path / "in.vcf", text, end="\r\n"), fasta)
    assert windows[2] == plain[2]
    assert windows[1].equals(plain[1])
    crlf = tmp_path / "crlf.fa"
    crlf.write_bytes(fasta.read_bytes().replace(b"\n", b"\r\n"))
    assert predicted(vcf_of(tmp_path / "in.vcf", text), crlf)[2] == plain[2]


@pytest.mark.parametrize("index", [True, False])
def test_bgzipped_files(tmp_path, fasta, index):
    plain = vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T"), line("chr2", 3, "A", "C"))
    expected = predicted(plain, fasta)
    packed = tmp_path / "packed.vcf.gz"
    pysam.tabix_compress(str(plain), str(packed))
    if index:
        pysam.tabix_index(str(packed), preset="vcf")
    genome = tmp_path / "packed.fa.gz"
    pysam.tabix_compress(str(fasta), str(genome))
    found = predicted(packed, genome, suffix=".vcf.gz")
    assert found[2] == expected[2]
    assert found[1].equals(expected[1])
    pysam.tabix_index(str(tmp_path / "out.vcf.gz"), preset="vcf")  # bgzipped, or this raises
    squashed = tmp_path / "gzip.vcf.gz"
    squashed.write_bytes(gzip.compress(plain.read_bytes()))
    assert predicted(squashed, fasta)[2] == expected[2]


def test_a_header_alone_has_no_variants(tmp_path, fasta):
    counts, table, lines = predicted(vcf_of(tmp_path / "in.vcf"), fasta)
    assert counts == Counts(0, {}, {})
    assert (len(table), lines) == (0, [])
    assert "skipped" in table


def test_records_stay_in_their_order_however_often_they_come(tmp_path, fasta, monkeypatch):
    monkeypatch.setattr("nrtune.orchestrator.inference.vcf.BATCH", 3)
    positions = [8, 3, 8, 20, 1, 8, 5]
    records = [line("chr1", pos, CHR1[pos - 1], "ACGT"["ACGT".index(CHR1[pos - 1]) - 1]) for pos in positions]
    _, table, lines = predicted(vcf_of(tmp_path / "in.vcf", *records), fasta)
    assert table["pos"].tolist() == positions
    assert [int(text.split("\t")[1]) for text in lines] == positions
    assert table.groupby("pos")["variant_effect"].nunique().eq(1).all()
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 3


def test_a_second_prediction_replaces_the_first(tmp_path, fasta):
    _, _, lines = predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T")), fasta)
    shutil.copy(tmp_path / "out.vcf", tmp_path / "again.vcf")
    _, _, again = predicted(tmp_path / "again.vcf", fasta)
    assert again == lines
    assert (tmp_path / "out.vcf").read_text().count("ID=NRTUNE_EFFECT") == 1


def broken(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "in.vcf"
    whole = vcf_of(tmp_path / "whole.vcf", *[line("chr1", 8, "G", "T")] * 5000)
    packed = tmp_path / "whole.vcf.gz"
    pysam.tabix_compress(str(whole), str(packed))
    content = packed.read_bytes()
    made = {
        "torn": content[: len(content) // 2],
        "no end": content[:-28],  # the last block, empty, is what says that the file is whole
        "table": b"a,b\n1,2\n",
        "empty": b"",
        "binary": os.urandom(500) + b"\0",
        "columns": whole.read_bytes() + b"chr1\t8\t.\n",
        "samples": vcf_of(path, line("chr1", 8, "G", "T"), head=(*HEAD[:-1], f"{HEAD[-1]}\tFORMAT\tS1")).read_bytes(),
        "more samples": vcf_of(
            path, line("chr1", 8, "G", "T") + "\tGT\t0/1\t0/1", head=(*HEAD[:-1], f"{HEAD[-1]}\tFORMAT\tS1")
        ).read_bytes(),
        "position": whole.read_bytes() + line("chr1", 8, "G", "T").replace("\t8\t", "\there\t").encode() + b"\n",
    }
    path.write_bytes(made[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("torn", "is torn, as the block that ends a bgzipped file is missing"),
        ("no end", "is torn, as the block that ends a bgzipped file is missing"),
        ("table", "line 1: comes before any line that begins with #CHROM"),
        ("empty", "has no line that begins with #CHROM"),
        ("binary", "is no text"),
        ("columns", "line 5006: has 3 columns, a VCF 8"),
        ("samples", "line 6: has 8 columns, the line that names them 10"),
        ("more samples", "line 6: has 11 columns, the line that names them 10"),
        ("position", "line 5006: POS is 'here'"),
    ],
)
def test_what_is_no_whole_vcf_is_refused_and_nothing_written(tmp_path, fasta, kind, message):
    with pytest.raises(UserError, match=rf"in\.vcf: {message}"):
        predicted(broken(tmp_path, kind), fasta)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "can't be read as a FASTA file|holds no sequence"),
        (b"chr1 ACGT\n", "can't be read as a FASTA file"),
        (gzip.compress(b">chr1\nACGT\n", mtime=0), "can't be read as a FASTA file, plain or bgzipped"),
    ],
)
def test_what_is_no_genome_is_refused(tmp_path, content, message):
    (tmp_path / "genome.fa").write_bytes(content)
    with pytest.raises(UserError, match=message):
        predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T")), tmp_path / "genome.fa")
    assert not list(tmp_path.glob("*out*"))


def test_an_index_older_than_its_file_is_made_anew_elsewhere_and_said(tmp_path, fasta):
    expected = predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 8, "G", "T")), fasta)
    index = fasta.with_name("genome.fa.fai")
    index.write_text("chr1\t3\t6\t3\t4\n")
    os.utime(index, (0, 0))
    said: list[str] = []
    predict_vcf(tmp_path / "in.vcf", fasta, tmp_path / "out.vcf", predictor(), say=said.append)
    assert said == [
        f"{tmp_path / 'in.vcf'}: 1 records",
        f"  {index} is older than genome.fa: an index was made elsewhere",
    ]
    assert (tmp_path / "out.vcf").read_text().splitlines()[-1] == expected[2][0]


def test_an_index_that_has_more_than_its_file_is_refused(tmp_path, fasta):
    """As after a download that was cut off: what is missing is not N."""
    fasta.write_text(f">chr1\n{CHR1}\n")
    fasta.with_name("genome.fa.fai").write_text("chr1\t200\t6\t200\t201\n")
    with pytest.raises(UserError, match=r"genome\.fa: lacks bases 15 to 25 of chr1, which its index has"):
        predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 20, "A", "C")), fasta)
    assert not list(tmp_path.glob("*out*"))


def test_a_torn_genome_leaves_no_index(tmp_path):
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 200_000))
    (tmp_path / "whole.fa").write_text(f">chr1\n{bases}\n")
    pysam.tabix_compress(str(tmp_path / "whole.fa"), str(tmp_path / "genome.fa.gz"))
    content = (tmp_path / "genome.fa.gz").read_bytes()
    (tmp_path / "genome.fa.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="is torn, as the block that ends a bgzipped file is missing"):
        open_genome(tmp_path / "genome.fa.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["genome.fa.gz", "whole.fa"]


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root writes everywhere")
def test_a_genome_in_a_folder_that_can_not_be_written(tmp_path, fasta, monkeypatch):
    """Its index is made elsewhere."""
    real = pysam.faidx

    def refuse_beside(*arguments: str) -> str:
        if len(arguments) == 1:  # as root, the folder's mode stops nobody
            raise pysam.utils.SamtoolsError("permission denied")
        return str(real(*arguments))

    monkeypatch.setattr(pysam, "faidx", refuse_beside)
    fasta.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        genome = open_genome(fasta)
        assert genome.fetcher("chr1")(0, 4) == "ACGT"
        genome.close()
    finally:
        fasta.parent.chmod(stat.S_IRWXU)
    assert not fasta.with_name("genome.fa.fai").exists()


def findings_of(counts: Counts) -> dict[str, str]:
    return {finding.id: f"{finding.count} {finding.what}" for finding in counts.findings}


def test_one_deletion_and_one_insertion_have_one_effect_wherever_they_are_written(tmp_path, fasta):
    fasta.write_text(">chr1\nGTCATTACGAAAAACGGTCATTGCA\n")
    records = [line("chr1", 9, "GA", "G"), line("chr1", 13, "aa", "a"), line("chr1", 9, "GAAAAA", "GAAAA"),
               line("chr1", 9, "G", "GA"), line("chr1", 14, "A", "AA"), line("chr1", 14, "AC", "AAC")]  # fmt: skip
    counts, table, lines = predicted(vcf_of(tmp_path / "in.vcf", *records), fasta)
    for rows in (slice(0, 3), slice(3, 6)):
        assert table[["ref_prediction", "alt_prediction", "variant_effect"]][rows].drop_duplicates().shape == (1, 3)
    assert table["left_aligned"].tolist() == [0, 4, 0, 0, 5, 5]
    assert [text.split("\t")[:5] for text in lines] == [text.split("\t")[:5] for text in records]
    assert findings_of(counts) == {"indels-left-aligned": "3 insertions or deletions were left-aligned"}
    assert "NRTUNE_LEFT_ALIGNED=4;" in lines[1]


def test_a_window_that_is_mostly_n_has_no_effect(tmp_path, fasta):
    fasta.write_text(f">chr1\n{'N' * 20}ACGTACGTAC{'N' * 20}\n")
    records = [line("chr1", pos, "ACGTACGTAC"[pos - 21], "T") for pos in (21, 25, 26, 30)]
    counts, table, lines = predicted(vcf_of(tmp_path / "in.vcf", *records), fasta)
    assert table["n_bases"].tolist() == [5, 1, 0, 4]
    assert table["skipped"].tolist() == [None] * 4 or table["skipped"].isna().all()
    assert findings_of(counts) == {"windows-with-n": "3 windows hold N"}
    fasta.write_text(f">chr1\n{'N' * 22}GTAC{'N' * 24}\n")
    counts, table, lines = predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 23, "G", "T")), fasta)
    assert (counts.predicted, counts.skipped) == (0, {"mostly_n": 1})
    assert math.isnan(table["variant_effect"][0])
    assert (table["n_bases"][0], table["skipped"][0]) == (6, "mostly_n")
    assert lines[0].endswith(
        "DP=3;NRTUNE_N_BASES=6;NRTUNE_LEFT_ALIGNED=0;NRTUNE_PADDED=0;NRTUNE_REF_IS_ALT=0;NRTUNE_SKIPPED=mostly_n"
    )
    assert findings_of(counts) == {"windows-with-n": "1 window holds N, 1 of them more than half: left out"}
    assert counts.findings[0].severity == "warning"


def test_a_contig_that_is_shorter_than_half_a_window_gives_no_effects(tmp_path, fasta):
    fasta.write_text(">chr1\nACGT\n")
    counts, _, _ = predicted(vcf_of(tmp_path / "in.vcf", line("chr1", 2, "C", "T"), line("chr1", 4, "T", "A")), fasta)
    assert (counts.predicted, counts.skipped) == (0, {"mostly_n": 2})
    assert findings_of(counts) == {
        "windows-beyond-contig": "2 windows reach beyond a contig's ends, N there, 2 of them more than half: left out"
    }


def test_what_stands_beside_an_effect(tmp_path, fasta):
    fasta.write_text(f">chr1\n{CHR1.lower()}\n>chr2\n{CHR1.replace('T', 'U')}\n")
    records = [line("chr1", 2, "C", "A"), line("chr1", 8, "T", "G"), line("chr1", 8, "A", "T"), line("chr2", 8, "G", "U"),
               line("chr1", 8, "G", "T"), line("chr1", 8, "T", "G,*")]  # fmt: skip
    counts, table, lines = predicted(vcf_of(tmp_path / "in.vcf", *records), fasta)
    assert table["padded"].tolist()[:1] == [4]
    assert table["ref_is_alt"].tolist() == [False, True, False, False, False, True, None]
    assert table["variant_effect"][3] == table["variant_effect"][4]  # U is T
    assert findings_of(counts) == {
        "ref-alt-swapped": "2 alleles: the FASTA file has ALT and not REF",
        "windows-beyond-contig": "1 window reaches beyond a contig's ends, N there",
        "windows-soft-masked": "2 windows are lower case (soft-masked) in more than half, taken as bases",
        "u-for-t": "1 allele or its window has U, taken for T",
    }
    assert "NRTUNE_REF_IS_ALT=1;NRTUNE_SKIPPED=reference_mismatch" in lines[1]
    assert "NRTUNE_REF_IS_ALT=1,.;NRTUNE_SKIPPED=reference_mismatch,star" in lines[5]
    stored = json.loads(pq.ParquetFile(tmp_path / "out.parquet").metadata.metadata[FINDINGS.encode()])
    assert stored == [finding.as_json() for finding in counts.findings]
    header = pysam.VariantFile(str(tmp_path / "out.vcf")).header
    assert all(
        header.info[f"NRTUNE_{name}"].type == "Integer" for name in ("N_BASES", "LEFT_ALIGNED", "PADDED", "REF_IS_ALT")
    )


def test_positions_that_are_off_by_one_are_refused_unless_accepted(tmp_path, fasta):
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 300))
    fasta.write_text(f">chr1\n{bases}\n")
    records = [line("chr1", pos + 1, bases[pos - 1], "ACGT"["ACGT".index(bases[pos - 1]) - 1]) for pos in range(30, 90)]
    vcf = vcf_of(tmp_path / "in.vcf", *records)
    message = "most REFs are not those of genome.fa: the positions are 1 too high; mended, 60 of 60 agree; give 1-based positions"
    with pytest.raises(UserError, match=rf"{message} of the reference; or --accept ref-disagrees"):
        predicted(vcf, fasta)
    assert not list(tmp_path.glob("*out*"))
    counts = predict_vcf(vcf, fasta, tmp_path / "out.vcf", predictor(), accept=["ref-disagrees"])
    assert 0 < counts.predicted < 30
    assert (counts.findings[0].id, counts.findings[0].severity) == ("ref-disagrees", "error")
    with pytest.raises(UserError, match="--accept ref-disagree: no finding is called so"):
        predict_vcf(vcf, fasta, tmp_path / "out.vcf", predictor(), accept=["ref-disagree"])


def test_output_is_whole_or_not_at_all(tmp_path, fasta, monkeypatch):
    vcf = vcf_of(tmp_path / "in.vcf", *[line("chr1", 8, "G", "T")] * 9)
    monkeypatch.setattr("nrtune.orchestrator.inference.vcf.BATCH", 3)
    one = predictor()
    calls = []

    def interrupted(self, tokens):
        calls.append(len(tokens))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return np.zeros((1, len(tokens)))

    monkeypatch.setattr(Predictor, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict_vcf(vcf, fasta, tmp_path / "out.vcf", one)
    assert not list(tmp_path.glob("*out*"))
    with pytest.raises(UserError, match="is the VCF itself"):
        predict_vcf(vcf, fasta, vcf, one)
    with pytest.raises(UserError, match=r"ends in \.vcf or \.vcf\.gz"):
        predict_vcf(vcf, fasta, tmp_path / "out.tsv", one)
    for name in ("folder.vcf", "table.parquet"):
        (tmp_path / name).mkdir()
        with pytest.raises(UserError, match=f"{name} is a folder"):
            predict_vcf(vcf, fasta, tmp_path / name.replace("parquet", "vcf"), one)
    assert not (tmp_path / "folder.parquet").exists()
    os.mkfifo(tmp_path / "pipe.vcf")
    with pytest.raises(UserError, match="is a pipe or a device; write it to a file"):
        predict_vcf(tmp_path / "pipe.vcf", fasta, tmp_path / "out.vcf", one)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        predict_vcf(vcf, fasta, tmp_path / "file" / "out.vcf", one)


# ---------------------------------------------------------------------------------------- with a campaign's own models


@pytest.fixture(scope="module")
def campaign(simulated_folder, simulated_data, tmp_path_factory) -> Path:
    """A campaign of untrained models: two trials, the better one with three replicates; slopes 2, 3, 4, 5 and 6."""
    folder = tmp_path_factory.mktemp("predict") / "campaign"
    about = {"settings": {}, "data": {"name": "d", "length": 230}, "cagi5": {"matched": ["SIM1"]}}
    ledger = open_ledger(folder, "campaign", {"command": "search", "select_on": "val"}, about, must_exist=False)
    when = "2026-01-01T00:00:00+00:00"
    for number, (name, score, seed, of) in enumerate(
        [
            ("RS-001", 0.2, 0, None),
            ("RS-002", 0.5, 0, None),
            ("RS-002/s1", 0.4, 1, "RS-002"),
            ("RS-002/s2", 0.6, 2, "RS-002"),
            ("RS-002/s3", 0.5, 3, "RS-002"),
        ]
    ):
        config = TrialConfig.from_flat({**preset("small"), "seed": seed, "lr": 1e-3 * (1 + number)})
        torch.manual_seed(number)
        fingerprint = f"f{number}"
        path = folder / "trials" / fingerprint / BEST
        path.parent.mkdir(parents=True)
        model = config.build_model()
        content = {"config": config.to_flat(), "fingerprint": fingerprint, "length": 230, "state": model.state_dict(),
                   "calibration": Calibration(2.0 + number, -1.0)._asdict()}  # fmt: skip
        checkpoint.save(path, content)
        ledger.append(
            TrialRecord.from_flat(name=name, family="rank_stability", number=number, fingerprint=fingerprint, status="finished",
                        config=config.to_flat(), epochs_trained=1, seconds=1.0, started=when, ended=when, replicate_of=of,
                        metrics={"val/spearman": score, "test/spearman": score})
        )  # fmt: skip
    ledger.close()
    return folder


def test_which_models_predict(campaign):
    use_case = "in_distribution"
    assert predictor_of(campaign, use_case).trials == ("RS-002/s1", "RS-002/s2", "RS-002/s3")
    assert predictor_of(campaign, use_case, trial="RS-001").trials == ("RS-001",)
    assert predictor_of(campaign, use_case, ensemble=2).trials == ("RS-002", "RS-001")
    with pytest.raises(UserError, match="has no trial RS-01; did you mean 'RS-001'"):
        predictor_of(campaign, use_case, trial="RS-01")
    with pytest.raises(UserError, match="unknown use case 'overal'; did you mean 'overall'"):
        predictor_of(campaign, "overal")
    with pytest.raises(UserError, match="--device gpu: is neither cpu nor cuda"):
        predictor_of(campaign, use_case, device="gpu")


def test_a_checkpoint_that_was_not_kept(campaign, tmp_path):
    copy = Path(shutil.copytree(campaign, tmp_path / "copy"))
    (copy / "trials" / "f0" / BEST).unlink()
    with pytest.raises(UserError, match="the checkpoint of RS-001 was not kept; this trains it again: nrtune best "):
        predictor_of(copy, trial="RS-001")


def test_the_command_agrees_with_the_scoring_of_trials(campaign, simulated_folder, tmp_path, monkeypatch, capsys):
    """A VCF of a simulated element, on its reference as a genome: the effects are those that a campaign scores."""
    variants = read_cagi5(simulated_folder / "cagi5", cell_line="simulated")
    references = json.loads((simulated_folder / "cagi5" / "references.json").read_text())
    table = variants.table()
    table = table[table["element"] == "SIM2"]
    reference = references["SIM2"]
    genome = tmp_path / "genome.fa"
    genome.write_text(f">{reference['chrom']}\n{'N' * (reference['start'] - 1)}{reference['sequence']}\n")
    records = [line(row.chrom, row.pos, row.ref, row.alt) for row in table.itertuples()]
    vcf_of(tmp_path / "in.vcf", *records, head=("##fileformat=VCFv4.2", HEAD[-1]))
    monkeypatch.chdir(tmp_path)
    code, out, err = run(
        monkeypatch, capsys, "predict", campaign, "--trial", "RS-001", "--vcf", "in.vcf", "--fasta", genome
    )
    assert code == 0
    assert out == "in.nrtune.vcf.gz\nin.nrtune.parquet\n"
    assert f"trial RS-001: {len(table)} alleles predicted, 0 not (log2(RNA/DNA))\n" in err
    model = predictor_module.load_model(campaign / "trials" / "f0").model
    expected = 2 * variant_effects(model, variants, torch.device("cpu")).loc[table.index, "variant_effect"]
    found = pd.read_parquet("in.nrtune.parquet")
    np.testing.assert_allclose(found["variant_effect"], expected, atol=1e-5)
    assert stats.spearmanr(found["variant_effect"], table["value"]).statistic == pytest.approx(
        stats.spearmanr(expected, table["value"]).statistic, abs=1e-6
    )


def test_the_release_variants_of_hbb_score_as_in_a_campaign(campaign, real_data, tmp_path):
    (tmp_path / "cagi5").mkdir()
    for name in ("references.json", "release_HBB.tsv"):
        shutil.copy(real_data / "cagi5" / name, tmp_path / "cagi5" / name)
    variants = read_cagi5(tmp_path / "cagi5", cell_line="K562")
    reference = json.loads((tmp_path / "cagi5" / "references.json").read_text())["HBB"]
    genome = tmp_path / "genome.fa"
    genome.write_text(f">{reference['chrom']}\n{'N' * (reference['start'] - 1)}{reference['sequence']}\n")
    table = variants.table().iloc[variants.rows("HBB", "release")]
    records = [line(row.chrom, row.pos, row.ref, row.alt) for row in table.itertuples()]
    one = predictor_of(campaign, trial="RS-002", device="cpu")
    vcf = vcf_of(tmp_path / "in.vcf", *records, head=("##fileformat=VCFv4.2", HEAD[-1]))
    assert predict_vcf(vcf, genome, tmp_path / "out.vcf", one).predicted == len(table)
    effects = variant_effects(one.models[0].model, variants, torch.device("cpu"))["variant_effect"]
    metrics = variant_metrics(variants, effects.to_numpy())
    found = pd.read_parquet(tmp_path / "out.parquet")["variant_effect"]
    for kind, of in (("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
        expected = metrics[f"cagi5/release/{kind}/all/HBB"]
        assert of(found, table["value"]).statistic == pytest.approx(expected, abs=1e-6)


def test_plain_sequences(campaign, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    whole = "ACGT" * 57 + "AC"
    Path("some.fa").write_text(f">a first\n{whole[:100]}\n{whole[100:]}\n>b\n{whole[:229].lower()}\n")
    code, out, _ = run(
        monkeypatch, capsys, "predict", campaign, "--use-case", "in_distribution", "--fasta-sequences", "some.fa"
    )
    assert (code, out) == (0, "some.nrtune.csv\n")
    table = pd.read_csv("some.nrtune.csv")
    assert table["name"].tolist() == ["a first", "b"]
    assert table["padded"].tolist() == [0, 1]
    models = [predictor_module.load_model(campaign / "trials" / f) for f in ("f2", "f3", "f4")]
    means = np.stack([model.predict([whole, whole[:229] + "N"], raw=True).mean for model in models])
    calibrated = [[4], [5], [6]] * means.astype(float) - 1
    np.testing.assert_allclose(table["prediction"], calibrated.mean(axis=0), atol=1e-9)
    assert (table["low"] < table["prediction"]).all()
    code, _, err = run(monkeypatch, capsys, "predict", campaign, "--use-case", "in_distribution", "--fasta-sequences",
                       "some.fa", "--raw", "--out", "raw.parquet")  # fmt: skip
    assert (code, err.count("2 sequences predicted (raw model output)")) == (0, 1)
    np.testing.assert_allclose(pd.read_parquet("raw.parquet")["prediction"], means.mean(axis=0), atol=1e-9)
    assert json.loads(pq.read_schema("raw.parquet").metadata[b"nrtune"])["scale"] == "raw model output"
    for content, message in (
        (f">long\n{whole}A\n", "some.fa: long has 231 bases; the model takes 1 to 230"),
        (">odd\nACGE\n", "some.fa: odd: row 1 has 'E' at position 4"),
        ("", "some.fa: holds no sequence"),
        ("no fasta\n", "some.fa: holds no sequence"),
    ):
        Path("some.fa").write_text(content)
        code, out, err = run(monkeypatch, capsys, "predict", campaign, "--use-case", "in_distribution", "--fasta-sequences",
                             "some.fa", "--out", "out.parquet")  # fmt: skip
        assert (code, out) == (2, "")
        assert message in err
        assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize(
    ("slope", "message"),
    [
        (None, "RS-001: its checkpoint was written before models were calibrated: train it again for log2(RNA/DNA)"),
        (-0.5, "RS-001: its output falls as validation activity rises (slope -0.5), so it predicts none"),
    ],
)
def test_a_model_on_no_scale_of_activity(campaign, tmp_path, monkeypatch, capsys, slope, message):
    """It is refused, or gives its own output where that is asked for, said to be that."""
    copy = Path(shutil.copytree(campaign, tmp_path / "copy"))
    recalibrate(copy / "trials" / "f0" / BEST, slope)
    Path(tmp_path / "some.fa").write_text(f">a\n{'ACGTA' * 46}\n")
    flags = (
        "predict",
        copy,
        "--trial",
        "RS-001",
        "--fasta-sequences",
        tmp_path / "some.fa",
        "--out",
        tmp_path / "out.csv",
    )
    code, out, err = run(monkeypatch, capsys, *flags)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{message}; --raw gives its own output, --trial takes another" in err
    assert not (tmp_path / "out.csv").exists()
    code, _, err = run(monkeypatch, capsys, *flags, "--raw")
    assert (code, "(raw model output)" in err) == (0, True)
    model = predictor_module.load_model(campaign / "trials" / "f0")
    expected = model.predict(["ACGTA" * 46], raw=True).mean
    assert pd.read_csv(tmp_path / "out.csv")["prediction"].tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_a_constant_is_said_to_be_one(campaign, tmp_path, monkeypatch, capsys):
    copy = Path(shutil.copytree(campaign, tmp_path / "copy"))
    recalibrate(copy / "trials" / "f0" / BEST, 0)
    Path(tmp_path / "some.fa").write_text(f">a\n{'ACGTA' * 46}\n>b\n{'CCGTA' * 46}\n")
    code, _, err = run(monkeypatch, capsys, "predict", copy, "--trial", "RS-001", "--fasta-sequences", tmp_path / "some.fa",
                       "--out", tmp_path / "out.csv")  # fmt: skip
    assert code == 0
    assert "RS-001 told no validation sequence from another: it predicts one activity for all, and effects of 0" in err
    assert pd.read_csv(tmp_path / "out.csv")["prediction"].tolist() == [-1, -1]


def recalibrate(path: Path, slope: float | None) -> None:
    """Write another slope into a checkpoint, or with None what one of before has: no calibration."""
    content = checkpoint.load(path)
    if slope is None:
        del content["calibration"]
    else:
        content["calibration"]["slope"] = slope
    checkpoint.save(path, content)


def test_another_assembly_is_suspected(campaign, fasta, tmp_path, monkeypatch, capsys):
    vcf = vcf_of(tmp_path / "in.vcf", line("chr1", 8, "T", "A"), line("chr1", 9, "C", "A"), line("chr1", 8, "G", "A"))
    code, _, err = run(monkeypatch, capsys, "predict", campaign, "--trial", "RS-001", "--vcf", vcf, "--fasta", fasta,
                       "--out", tmp_path / "out.vcf")  # fmt: skip
    assert code == 0
    assert "REF is not the FASTA file's: 2\n  most REFs are not those of genome.fa" in err


def test_options_that_do_not_go_together(campaign, tmp_path, monkeypatch, capsys):
    for flags, message in (
        ((), "give either --vcf with --fasta, or --fasta-sequences"),
        (("--vcf", "a.vcf"), "--fasta is missing"),
        (("--fasta-sequences", "a.fa", "--fasta", "b.fa"), "leave it out with --fasta-sequences"),
        (("--fasta-sequences", "a.fa", "--out", "a.txt"), "give a name that ends in .csv or .parquet"),
        (("--vcf", "no.vcf", "--fasta", "no.fa", "--trial", "RS-001"), "no.vcf: no such file"),
        (("--fasta-sequences", "no.fa", "--trial", "RS-001"), "no.fa: no such file"),
    ):
        code, out, err = run(monkeypatch, capsys, "predict", campaign, *flags)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert message in err


STREAM = """
import resource, sys
from pathlib import Path
from test_predict import predictor
from nrtune.orchestrator.inference.vcf import predict_vcf
folder = Path(sys.argv[1])
predict_vcf(folder / "in.vcf", folder / "genome.fa", folder / "out.vcf.gz", predictor())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_variants(tmp_path):
    """100,000 variants take no more megabytes than 10,000 do, but for what Python's allocator keeps."""
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 200_000))
    peak = {}
    for count in (10_000, 100_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / "genome.fa").write_text(f">chr1\n{bases}\n")
        positions = np.random.default_rng(1).integers(1, len(bases), count)
        records = [line("chr1", pos, bases[pos - 1], "ACGT"["ACGT".index(bases[pos - 1]) - 1]) for pos in positions]
        vcf_of(folder / "in.vcf", *records)
        paths = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[2] / "helpers")))
        told = subprocess.run([sys.executable, "-c", STREAM, str(folder)], env={**os.environ, "PYTHONPATH": paths},
                              check=True, capture_output=True, text=True)  # fmt: skip
        peak[count] = int(told.stdout)
        assert pq.ParquetFile(folder / "out.parquet").metadata.num_rows == count
    assert peak[100_000] < peak[10_000] + 40, peak


def test_contigs_that_are_missing_or_of_another_length_are_said(tmp_path, fasta):
    head = (HEAD[0], "##contig=<ID=1,length=20>", "##contig=<ID=chr2,length=243199373>", *HEAD[3:])
    vcf = vcf_of(tmp_path / "in.vcf", line("chr9", 3, "A", "C"), line("chr1", 8, "G", "T"), head=head)
    found = {one.id: str(one) for one in predicted(vcf, fasta)[0].findings}
    assert set(found) == {"contigs-missing", "contig-lengths"}
    assert "allele is on contigs that genome.fa lacks" in found["contigs-missing"]
    assert found["contigs-missing"].endswith("such as chr9:3 A>C; it has chr1, chr2")
    assert "another assembly?" in found["contig-lengths"]
    assert found["contig-lengths"].endswith("(1), such as chr2 has 243199373 and 12")
