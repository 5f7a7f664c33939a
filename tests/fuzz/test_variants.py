"""Mutated VCFs, genomes, benchmarks and predictions are read, or refused in one sentence: never a traceback, never a warning.

Inputs are small, and good before they are mutated; seeded, so that a failure is found again by its number.
"""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from nrtune.analysis.scoring.prediction_files import read_effects
from nrtune.orchestrator.inference.alleles import alleles_of
from nrtune.orchestrator.inference.reference_check import check_references
from nrtune.orchestrator.inference.variant_file import VariantFile
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.audit.variants import audit_variants
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.benchmarks.satmut import read_satmut
from nrtune.trainables.data.benchmarks.table import read_table
from nrtune.trainables.data.genome import open_genome

START, SIZE = 1001, 400
SEQUENCE = "".join(np.random.default_rng(0).choice(list("ACGT"), SIZE))
SITES = [(START + at, SEQUENCE[at], "ACGT"["ACGT".index(SEQUENCE[at]) - 1]) for at in range(100, 300, 5)]
VALUES = np.random.default_rng(1).normal(size=len(SITES)).round(3)


def rows(header: str, row: Callable[[int, str, str, float], str]) -> bytes:
    return "\n".join([header, *(row(*site, value) for site, value in zip(SITES, VALUES, strict=True)), ""]).encode()


FASTA = f">chr1 the first\n{SEQUENCE[:200]}\n{SEQUENCE[200:]}\n>chr2\n{SEQUENCE[:50]}\n".encode()
FILES: Mapping[str, Mapping[str, bytes]] = {
    "vcf": {
        "v.vcf": rows(
            "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
            lambda pos, ref, alt, _: f"chr1\t{pos - START + 1}\t.\t{ref}\t{alt}\t.\tPASS\tDP=3",
        ),
        "genome.fa": FASTA,
    },
    "cagi5": {
        "challenge_HBB.tsv": rows(
            "#Chrom\tPos\tRef\tAlt\tValue\tConfidence", lambda pos, ref, alt, v: f"1\t{pos}\t{ref}\t{alt}\t{v}\t0.5"
        ),
        "references.json": json.dumps({"HBB": {"chrom": "chr1", "start": START, "sequence": SEQUENCE}}).encode(),
    },
    "satmut": {
        "elements.tsv": rows(
            "Chrom\tPos\tRef\tAlt\tBarcodes\tCoefficient\tpValue\tElement\tRelease",
            lambda pos, ref, alt, v: f"1\t{pos}\t{ref}\t{alt}\t20\t{v}\t0.01\tHBB\tGRCh37",
        ),
        "references.json": json.dumps({"HBB": {"chrom": "chr1", "start": START, "sequence": SEQUENCE}}).encode(),
    },
    "table": {
        "v.tsv": rows(
            "chrom\tpos\tref\talt\tvalue\telement",
            lambda pos, ref, alt, v: f"chr1\t{pos - START + 1}\t{ref}\t{alt}\t{v}\tA",
        ),
        "genome.fa": FASTA,
    },
    "score": {
        "p.csv": rows(
            "element,pos,ref,alt,variant_effect", lambda pos, ref, alt, v: f"HBB,{pos},{ref},{alt},{v / 2 + 0.1}"
        )
    },
}
CELLS = [b"1e30", b"-1", b"0", b"nan", b"1e999", b"9" * 5000, b"", b"\x1b[31m", b"\xff\xfe", b"=A1", b"[]", b"<DEL>", b"*", b"U",
         b"\xd9\xa1", b"True", b"1_0", b"A" * 100_000, b"null", b"{}", b"\x00", b'"', b"2" * 19, b"0.1.2", b"NaN"]  # fmt: skip


def a_cell(content: bytes, rng: np.random.Generator) -> bytes:
    for sign in (b"\t", b",", b'"'):
        cells = content.split(sign)
        if len(cells) > 3:
            cells[int(rng.integers(len(cells)))] = CELLS[int(rng.integers(len(CELLS)))]
            return sign.join(cells)
    return content[::-1]


def bytes_flipped(content: bytes, rng: np.random.Generator) -> bytes:
    found = bytearray(content)
    for at in rng.integers(len(found), size=int(rng.integers(1, 6))):
        found[at] ^= 1 << int(rng.integers(8))
    return bytes(found)


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content)))]


def repeated(content: bytes, rng: np.random.Generator) -> bytes:
    first, last = sorted(int(at) for at in rng.integers(len(content), size=2))
    return content[:last] + content[first:]


def lines_moved(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join(lines[at] for at in rng.permutation(len(lines)))


def packed(content: bytes, rng: np.random.Generator) -> bytes:
    whole = (gzip.compress, bz2.compress)[int(rng.integers(2))](content)
    return (bytes_flipped, cut)[int(rng.integers(2))](whole, rng) if rng.random() < 0.8 else whole


def something_else(content: bytes, rng: np.random.Generator) -> bytes:
    others = [b"", b"\n", b"PAR1" + bytes(60), b"\x1f\x8b", b"BZh", b"BCF\x02" + bytes(40), b"[" * 50_000, b'{"HBB":' * 50_000,
              bytes(range(256)) * 4, b"\n" * 10_000, b">", content.decode().encode("utf-16")]  # fmt: skip
    return others[int(rng.integers(len(others)))]


MUTATIONS = [a_cell, a_cell, a_cell, bytes_flipped, cut, repeated, lines_moved, packed, something_else]


def read(kind: str, folder: Path, measured: VariantSet) -> None:
    """All that reads a kind's files."""
    if kind == "score":
        read_effects(folder / "p.csv", measured)
    elif kind == "vcf":
        records = list(VariantFile(folder / "v.vcf"))
        genome = open_genome(folder / "genome.fa")
        try:
            check_references(records, genome)
            for record in records:
                alleles_of(record, genome, 60)
        finally:
            genome.close()
    else:
        reader = {"cagi5": read_cagi5, "satmut": read_satmut, "table": read_table}[kind]
        audit_variants(reader(folder / "v.tsv" if kind == "table" else folder, length=60))


def fuzz(seeds: range, folder: Path) -> None:
    good = folder / "good"
    good.mkdir()
    for name, content in FILES["cagi5"].items():
        (good / name).write_bytes(content)
    measured = read_cagi5(good, length=60)
    refused = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 29])
        kind = list(FILES)[seed % len(FILES)]
        here = folder / str(seed)
        here.mkdir()
        harmed = sorted(FILES[kind])[int(rng.integers(len(FILES[kind])))]
        for name, content in FILES[kind].items():
            (here / name).write_bytes(
                MUTATIONS[int(rng.integers(len(MUTATIONS)))](content, rng) if name == harmed else content
            )
        try:
            read(kind, here, measured)
        except UserError as error:
            refused.append(str(error))
        except BaseException as error:
            raise AssertionError(
                f"seed {seed}, {kind}, {harmed}: {type(error).__name__}: {str(error)[:200]}"
            ) from error
    assert [sentence for sentence in refused if "\n" in sentence or len(sentence) > 1500] == []
    assert len(seeds) / 5 < len(refused) < len(seeds)


@pytest.mark.parametrize("kind", FILES)
def test_files_are_good_before_they_are_mutated(kind, tmp_path):
    (tmp_path / "cagi5").mkdir()
    for name, content in FILES["cagi5"].items():
        (tmp_path / "cagi5" / name).write_bytes(content)
    for name, content in FILES[kind].items():
        (tmp_path / name).write_bytes(content)
    read(kind, tmp_path, read_cagi5(tmp_path / "cagi5", length=60))


def test_mutated_files_are_read_or_refused(tmp_path):
    fuzz(range(70), tmp_path)


@pytest.mark.slow
def test_a_thousand_mutated_files_are_read_or_refused(tmp_path):
    fuzz(range(1000), tmp_path)
