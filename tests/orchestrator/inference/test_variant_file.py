"""VCFs as people write them: read, or refused in one sentence that says which line."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pysam
import pytest

from nrtune.orchestrator.inference.variant_file import COLUMNS, VariantFile
from nrtune.trainables.core.errors import UserError

FILE = "##fileformat=VCFv4.2"
NAMES = "\t".join(COLUMNS)
FIVE = "\t".join(COLUMNS[:5])
RECORD = "chr1\t8\trs8\tG\tT\t.\tPASS\tDP=3"


def read(path: Path, *lines: str) -> tuple[list[tuple[object, ...]], VariantFile]:
    path.write_text("\n".join([*lines, ""]))
    return records(path)


def records(path: Path) -> tuple[list[tuple[object, ...]], VariantFile]:
    file = VariantFile(path)
    return [tuple(record) for record in file], file


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ((FILE, FIVE, "chr1\t8\trs8\tG\tT"), "chr1\t8\trs8\tG\tT\t.\t.\t."),
        ((FILE, f"{FIVE}\tQUAL", "chr1\t8\trs8\tG\tT\t30"), "chr1\t8\trs8\tG\tT\t30\t.\t."),
        ((FILE, f"{FIVE}\tQUAL\tFILTER", "chr1\t8\trs8\tG\tT\t30\tPASS"), "chr1\t8\trs8\tG\tT\t30\tPASS\t."),
        ((FILE, NAMES, "chr1\t8\trs8\tG\tT"), "chr1\t8\trs8\tG\tT\t.\t.\t."),
        ((FILE, NAMES.lower(), RECORD), RECORD),
        ((NAMES, RECORD), RECORD),
        ((f"\ufeff{FILE}", NAMES, RECORD), RECORD),
        ((FILE, "", NAMES, RECORD), RECORD),
        ((FILE, NAMES, "", RECORD, "   ", "\t\t", ""), RECORD),
    ],
)
def test_what_is_not_quite_a_vcf_is_read(tmp_path, lines, line):
    found, file = read(tmp_path / "in.vcf", *lines)
    assert found == [("chr1", 7, "rs8", "G", ("T",), line)]
    assert (file.header[0], file.header[-1]) == (FILE, NAMES)
    assert file.blank == sum(not one.strip() for one in lines)


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".txt", ".bz2"])
@pytest.mark.parametrize("pack", ["plain", "gzip", "bgzip", "bzip2"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_however_it_is_packed_and_called(tmp_path, suffix, pack, end):
    plain = tmp_path / "plain"
    plain.write_bytes(end.join([FILE, NAMES, RECORD, "", ""]).encode())
    path = tmp_path / f"in{suffix}"
    if pack == "bgzip":
        pysam.tabix_compress(str(plain), str(path))
    else:
        path.write_bytes({"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress}[pack](plain.read_bytes()))
    found, file = records(path)
    assert [one[-1] for one in found] == [RECORD]
    assert file.blank == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((FILE, NAMES, RECORD.replace("\t", " ")), "line 3: has spaces between columns; a VCF has tabs there"),
        ((FILE, NAMES.replace("\t", "  "), RECORD), "line 2: has spaces between columns; a VCF has tabs there"),
        ((FILE, NAMES.replace("\t", ","), RECORD), "line 2: begins with '#CHROM,POS,ID"),
        ((FILE, NAMES[1:], RECORD), "line 2: comes before any line that begins with #CHROM"),
        ((RECORD,), "line 1: comes before any line that begins with #CHROM"),
        ((FILE, "#CHROM\tPOS\tREF\tALT", RECORD), "line 2: begins with .*; the line that names a VCF's columns is #CHROM POS ID"),
        ((FILE,), "has no line that begins with #CHROM"),
        ((), "has no line that begins with #CHROM"),
        (("a,b", "1,2"), "line 1: comes before any line that begins with #CHROM"),
        ((FILE, NAMES, RECORD, "chr1\t8\t."), "line 4: has 3 columns, a VCF 8; mend the line or leave it out"),
        ((FILE, f"{NAMES}\tFORMAT\tS1", "", RECORD), "line 4: has 8 columns, the line that names them 10"),
        ((FILE, f"{NAMES}\tFORMAT\tS1", f"{RECORD}\tGT\t0/1\t0/1"), "line 3: has 11 columns, the line that names them 10"),
        ((FILE, NAMES, RECORD.replace("\t8\t", "\there\t")), "line 3: POS is 'here'; give a whole number"),
        ((FILE, NAMES, RECORD.replace("\t8\t", "\t1e3\t")), "line 3: POS is '1e3'"),
        ((FILE, NAMES, RECORD.replace("\t8\t", "\t1_0\t")), "line 3: POS is '1_0'"),
        ((FILE, NAMES, RECORD.replace("\t8\t", "\t-8\t")), "line 3: POS is '-8'"),
        ((FILE, NAMES, RECORD.replace("\t8\t", "\t8.0\t")), "line 3: POS is '8.0'"),
        ((FILE, NAMES, RECORD.replace("\t8\t", f"\t{9**20}\t")), "line 3: POS is '"),
        ((FILE, NAMES, RECORD.replace("\t8\t", f"\t{'9' * 5000}\t")), "line 3: POS is '"),
        ((FILE, NAMES, RECORD.replace("\tG\t", "\t\t")), "line 3: REF is empty"),
        ((FILE, NAMES, RECORD.replace("\tT\t", "\tT,,A\t")), "line 3: an ALT is empty"),
        ((FILE, NAMES, RECORD.replace("chr1", "")), "line 3: CHROM is empty"),
        ((FILE, NAMES, RECORD, FILE, NAMES, RECORD), "line 4: is a header's line among records"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_its_line(tmp_path, lines, message):
    with pytest.raises(UserError, match=f"^{tmp_path / 'in.vcf'}: {message}") as refused:
        read(tmp_path / "in.vcf", *lines)
    assert "\n" not in str(refused.value)


def test_letters_outside_utf8_and_blanks_around_values(tmp_path):
    path = tmp_path / "in.vcf"
    path.write_bytes(
        "\n".join([FILE, NAMES, RECORD.replace("rs8", "é"), " chr1 \t 8 \t.\tg \tt\t.\t.\t.", ""]).encode("latin-1")
    )
    found, _ = records(path)
    assert found[0][:3] == ("chr1", 7, "é")
    assert found[1][:5] == ("chr1", 7, None, "g", ("t",))


def test_the_header_has_all_that_records_name(tmp_path):
    described = '##INFO=<Number=1,ID=DP,Type=Integer,Description="Depth, as read">'
    text = "chr1\t8\t.\tG\tT\t50\tq10;PASS\tDP=3;XX=a;DB;NRTUNE_REF=1;bad name=2\tGT:AD\t0/1:3,4"
    _, file = read(tmp_path / "in.vcf", FILE, described, f"{NAMES}\tFORMAT\tS1", text, text)
    ids = [line.partition("=<ID=")[::2] for line in file.header[2:-1]]
    assert [(section, rest.split(",")[0].strip(">")) for section, rest in ids] == [
        ("##contig", "chr1"), ("##FILTER", "q10"), ("##INFO", "XX"), ("##INFO", "DB"), ("##FORMAT", "GT"), ("##FORMAT", "AD")
    ]  # fmt: skip
    whole = tmp_path / "whole.vcf"
    whole.write_text("\n".join([*file.header, text.replace("bad name=2", "Z=1"), ""]))
    assert next(iter(pysam.VariantFile(str(whole)))).info["XX"] == ("a",)


def test_a_damaged_bcf_is_said_in_our_words(tmp_path):
    plain = tmp_path / "in.vcf"
    plain.write_text("\n".join([FILE, "##contig=<ID=chr1>", NAMES, *["chr1\t8\t.\tG\tT\t.\tPASS\t."] * 20_000, ""]))
    with (
        pysam.VariantFile(str(plain)) as text,
        pysam.VariantFile(str(tmp_path / "in.bcf"), "wb", header=text.header) as out,
    ):
        for record in text:
            out.write(record)
    assert len(records(tmp_path / "in.bcf")[0]) == 20_000
    content = (tmp_path / "in.bcf").read_bytes()
    (tmp_path / "in.bcf").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"in\.bcf: is a damaged BCF file; write or fetch it again$"):
        records(tmp_path / "in.bcf")
