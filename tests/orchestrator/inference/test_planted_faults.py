"""Faults that are planted into a VCF or its genome are found, each for what it is; nothing is found in good ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from nrtune.orchestrator.inference.alleles import alleles_of
from nrtune.orchestrator.inference.reference_check import check_references
from nrtune.orchestrator.inference.seen import Seen
from nrtune.orchestrator.inference.variant_file import VariantFile
from nrtune.trainables.data.alleles import REACH, shift_words
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.genome import open_genome

LENGTH, SIZE, EDGE = 60, 3000, 100
OTHER_STRAND = str.maketrans("ACGT", "TGCA")
Record = tuple[str, int, str, str]
"""Contig, position, REF and ALT."""
Genome = Mapping[str, str]
Fault = Callable[[Genome, list[Record], np.random.Generator], tuple[Genome, list[Record], str, str]]


def bases(generator: np.random.Generator, length: int) -> str:
    return "".join(generator.choice(list("ACGT"), length))


def good(generator: np.random.Generator) -> tuple[Genome, list[Record]]:
    """Two contigs, and variants of them: single bases, and deletions and insertions that are left-aligned."""
    genome = {name: bases(generator, SIZE) for name in ("chr1", "chr2")}
    records: list[Record] = []
    for name, sequence in genome.items():
        for at in sorted(
            generator.choice(np.arange(EDGE, SIZE - EDGE), int(generator.integers(30, 150)), replace=False)
        ):
            before, ref, after = sequence[at - 1], sequence[at], sequence[at + 1]
            if generator.random() < 0.8:
                records.append((name, int(at) + 1, ref, generator.choice([b for b in "ACGT" if b != ref])))
            elif len({before, ref, after}) == 3:
                alleles = (before + ref, before) if generator.random() < 0.5 else (before, before + after)
                if alleles[1] == before or after not in (before, ref):
                    records.append((name, int(at), *alleles))
    return genome, records


def shifted(genome, records, generator):
    by = int(generator.integers(1, REACH + 1)) * int(generator.choice([-1, 1]))
    moved = [(contig, pos + by, ref, alt) for contig, pos, ref, alt in records]
    return genome, moved, "ref-disagrees", shift_words(-by)


def other_strand(genome, records, generator):
    way = int(generator.choice([-1, 1]))
    turned = [(c, pos, *(allele.translate(OTHER_STRAND)[::way] for allele in alleles)) for c, pos, *alleles in records]
    return genome, turned, "ref-disagrees", "the other strand's"


def swapped(genome, records, generator):
    single = [(contig, pos, alt, ref) for contig, pos, ref, alt in records if len(ref) == len(alt)]
    return genome, single, "ref-disagrees", "swapped"


def hard_masked(genome, records, generator):
    return {name: "N" * len(of) for name, of in genome.items()}, records, "ref-disagrees", "the reference is masked"


def other_sequence(genome, records, generator):
    return (
        {name: bases(generator, len(of)) for name, of in genome.items()},
        records,
        "ref-disagrees",
        "another assembly?",
    )


def masked_in_places(genome, records, generator):
    contig, pos, *_ = records[int(generator.integers(len(records)))]
    sequence = genome[contig]
    n = int(generator.integers(3, 25))
    return (
        {**genome, contig: sequence[: pos + 2] + "N" * n + sequence[pos + 2 + n :]},
        records,
        "windows-with-n",
        "hold",
    )


def soft_masked(genome, records, generator):
    return {name: of.lower() for name, of in genome.items()}, records, "windows-soft-masked", "lower case"


def of_rna(genome, records, generator):
    if generator.random() < 0.5:
        return {name: of.replace("T", "U") for name, of in genome.items()}, records, "u-for-t", "taken for T"
    written = [(c, pos, *(allele.replace("T", "U") for allele in alleles)) for c, pos, *alleles in records]
    return genome, written, "u-for-t", "taken for T"


def duplicated(genome, records, generator):
    at = int(generator.integers(len(records)))
    return genome, [*records[: at + 1], *records[at:]], "alleles-twice", "more than once"


def cut_off(genome, records, generator):
    contig, pos, *_ = records[0]
    moved = [(of, at - (pos - 10) * (of == contig), *alleles) for of, at, *alleles in records]
    return {**genome, contig: genome[contig][pos - 10 :]}, moved, "windows-beyond-contig", "beyond"


FAULTS: list[Fault] = [shifted, other_strand, swapped, hard_masked, other_sequence, masked_in_places, soft_masked, of_rna,
                       duplicated, cut_off]  # fmt: skip


def found_in(genome: Genome, records: Sequence[Record], folder: Path) -> list[Finding]:
    """What `nrtune predict` finds, of the files."""
    folder.mkdir()
    (folder / "genome.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in genome.items()))
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    lines += [f"{contig}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for contig, pos, ref, alt in records]
    (folder / "v.vcf").write_text("\n".join([*lines, ""]))
    opened, variants = open_genome(folder / "genome.fa"), list(VariantFile(folder / "v.vcf"))
    try:
        seen = Seen("v.vcf", "genome.fa", check_references(variants, opened))
        for record in variants:
            for allele in alleles_of(record, opened, LENGTH):
                seen.take(record, allele)
        return list(seen.findings(mismatched=False))
    finally:
        opened.close()


def plant(seed: int, folder: Path) -> None:
    generator = np.random.default_rng([seed, 27])
    genome, records = good(generator)
    assert [one for one in found_in(genome, records, folder / f"good{seed}") if one.id != "indels-left-aligned"] == []
    fault = FAULTS[seed % len(FAULTS)]
    *harmed, id, words = fault(genome, records, generator)
    found = found_in(*harmed, folder / f"harmed{seed}")
    assert [one for one in found if one.id == id and words in one.what], (seed, fault, words, found)
    others = {"indels-left-aligned", "windows-with-n", "ref-alt-swapped"}
    assert {one.id for one in found} - others <= {id}, (seed, fault, found)


def test_planted_faults_are_found(tmp_path):
    for seed in range(2 * len(FAULTS)):
        plant(seed, tmp_path)


@pytest.mark.slow
def test_two_hundred_planted_faults_are_found(tmp_path):
    for seed in range(200):
        plant(seed, tmp_path)
