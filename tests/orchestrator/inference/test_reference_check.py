"""VCFs whose REFs are not the genome's: what else they are is found out, and what would be predicted by chance is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nrtune.orchestrator.inference.reference_check import SAMPLE, Sample, check_references
from nrtune.orchestrator.inference.variant_file import Variant
from nrtune.trainables.data.alleles import shift_words
from nrtune.trainables.data.genome import open_genome

SIZE = 5000
BASES = "".join(np.random.default_rng(0).choice(list("ACGT"), SIZE))
RUNS = "".join(base * 4 for base in np.random.default_rng(2).choice(list("ACT"), 250))
OTHER = "".join(np.random.default_rng(1).choice(list("ACGT"), SIZE))
OPPOSITE = str.maketrans("ACGT", "TGCA")


@pytest.fixture
def genome(tmp_path: Path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{BASES}\n>chr2\n{'N' * SIZE}\n>chr3\n{RUNS}\n")
    opened = open_genome(path)
    yield opened
    opened.close()


def variants(count: int, seed: int, *, contig: str = "chr1", of: str = BASES) -> list[Variant]:
    """Single bases and, a fifth, deletions."""
    rng = np.random.default_rng(seed)
    found = []
    for start in rng.choice(np.arange(30, SIZE - 40), count, replace=False):
        ref = of[start : start + (1 if rng.random() < 0.8 else 3)]
        alt = "ACGT"["ACGT".index(ref[0]) - 1] if len(ref) == 1 else ref[0]
        found.append(Variant(contig, int(start), None, ref, (alt,), ""))
    return found


def complement(allele: str) -> str:
    return allele.translate(OPPOSITE)


@pytest.mark.parametrize("shift", [*range(-20, 0), *range(1, 21)])
def test_a_shift_is_found_and_refused(genome, shift):
    found = check_references([v._replace(start=v.start + shift) for v in variants(200, seed=shift + 50)], genome)
    assert found is not None
    assert (found.id, found.severity) == ("ref-disagrees", "error")
    assert found.what == f"most REFs are not those of genome.fa: {shift_words(-shift)}; mended, 200 of 200 agree"


@pytest.mark.parametrize("seed", range(20))
def test_alleles_of_the_other_strand_are_found_and_refused(genome, seed):
    """Each base complemented where it stands, or alleles turned round as well."""
    for way in (1, -1):
        flipped = [
            v._replace(ref=complement(v.ref)[::way], alts=tuple(complement(alt)[::way] for alt in v.alts))
            for v in variants(100, seed)
        ]
        found = check_references(flipped, genome)
        assert found is not None
        assert found.severity == "error"
        assert "Ref and Alt are the other strand's; mended, 100 of 100 agree" in found.what


def test_what_predicts_nothing_wrong_is_a_warning(genome):
    swapped = [v._replace(ref=v.alts[0], alts=(v.ref,)) for v in variants(100, 0) if len(v.ref) == 1]
    masked = [v._replace(contig="chr2") for v in variants(100, 0)]
    for sample, what in (
        (swapped, "Ref and Alt are swapped; mended, "),
        (masked, "the reference is masked, N at 100 of them"),
        (variants(100, 0, of=OTHER), "on either strand or at any shift; another sequence, or another assembly?"),
    ):
        found = check_references(sample, genome)
        assert found is not None
        assert found.severity == "warning"
        assert what in found.what


def test_a_few_records_are_diagnosed_with_care(genome):
    off = [v._replace(start=v.start + 1) for v in variants(60, 3)]
    wrong = [v for v in off if BASES[v.start : v.start + len(v.ref)] != v.ref]
    found = check_references(wrong[:4], genome)
    assert found is not None
    assert found.severity == "warning"
    assert f"perhaps {shift_words(-1)}; mended, 4 of 4 agree, but so few may do so by chance" in found.what


def test_a_shift_that_most_agree_with_by_chance_is_found(genome):
    """In a stretch of one base most positions beside it are that base, too."""
    run = [Variant("chr3", start, None, RUNS[start], ("G",), "") for start in range(100, 900)]
    moved = [v._replace(start=v.start - 1) for v in run]
    agree = sum(RUNS[v.start] == v.ref for v in moved)
    assert len(run) / 2 < agree < 0.9 * len(run)
    found = check_references(moved, genome)
    assert found is not None
    assert (found.severity, shift_words(1) in found.what) == ("error", True)
    assert found.what.startswith(f"{len(run) - agree} of {len(run)} REFs are not those of genome.fa: ")
    assert check_references(run, genome) is None


@pytest.mark.parametrize("seed", range(20))
def test_good_variants_have_no_finding(genome, seed):
    good = variants(SAMPLE, seed)
    assert check_references(good, genome) is None
    some_wrong = [v._replace(ref="ACGT"["ACGT".index(v.ref[0]) - 2]) if i % 3 == 0 else v for i, v in enumerate(good)]
    assert check_references(some_wrong, genome) is None


@pytest.mark.parametrize("contigs", [1, 2])
def test_records_of_two_sources_are_told(genome, contigs):
    """Half of a contig's, or all of a small one's, are one base off; alleles of the other strand predict nothing wrong."""
    good = variants(400, 1)
    if contigs == 1:
        off = [v._replace(start=v.start + 1) for v in variants(400, 2)]
    else:
        off = [Variant("chr3", start + 1, None, RUNS[start : start + 1], ("G",), "") for start in range(51, 251, 4)]
    found = check_references([*good, *off], genome)
    assert found is not None
    assert (found.severity, shift_words(-1) in found.what) == ("error", True)
    assert ("REFs of chr3" in found.what) == (contigs == 2)
    turned = [v._replace(ref=complement(v.ref), alts=(complement(v.alts[0]),)) for v in variants(400, 2)]
    found = check_references([*good, *turned], genome)
    assert found is not None
    assert found.severity == "warning"
    assert "of those rows Ref and Alt are the other strand's" in found.what


def test_a_sample_is_of_the_whole_file():
    sample = Sample()
    for start in range(10_000):
        sample.take(Variant("chr1", start, None, "A", ("C",), "a line"))
    starts = [record.start for record in sample.records]
    assert (sample.seen, len(set(np.diff(starts))), sample.records[0].line) == (10_000, 1, "")
    assert SAMPLE <= len(starts) <= 2 * SAMPLE
    assert starts[-1] >= 9_990


def test_what_can_not_be_compared_is_not(genome):
    beyond = [Variant("chr9", 3, None, "A", ("C",), ""), Variant("chr1", SIZE, None, "A", ("C",), ""),
              Variant("chr1", -1, None, "A", ("C",), ""), Variant("chr1", 3, None, "N", (), "")]  # fmt: skip
    assert check_references(beyond, genome) is None
    assert check_references([], genome) is None
    edges = [Variant("chr1", 0, None, BASES[0], (), ""), Variant("chr1", SIZE - 1, None, BASES[-1], ("A",), "")]
    assert check_references(edges, genome) is None
