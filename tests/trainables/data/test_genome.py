"""A genome's index: taken where it is good, made where there is none, and never a reason to refuse a good file."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pysam
import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.genome import Genome, open_genome

BASES = "ACGTACGGTTCAGATCCGTA"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1 the first\n{BASES}\n>chrM\nACGT\n")
    return path


def packed(path: Path) -> Path:
    other = path.with_name("genome.fa.gz")
    pysam.tabix_compress(str(path), str(other))
    return other


def is_whole(genome: Genome) -> bool:
    found = genome.length("chr1"), genome.fetcher("chr1")(0, 20)
    genome.close()
    return found == (20, BASES)


@pytest.mark.parametrize("which", [".fai", ".gzi"])
@pytest.mark.parametrize("content", [b"chr1\t3\t6\t3\t4\n", b"none\n", b""])
@pytest.mark.parametrize("compressed", [True, False])
def test_an_index_that_is_older_is_left_alone_and_made_elsewhere(fasta, which, content, compressed):
    path = packed(fasta) if compressed else fasta
    open_genome(path).close()
    index = path.with_name(path.name + which)
    index.write_bytes(content)
    os.utime(index, (0, 0))
    genome = open_genome(path)
    irrelevant = which == ".gzi" and not compressed
    assert genome.set_aside == ("" if irrelevant else f"{index} is older than {path.name}")
    assert is_whole(genome)
    assert index.read_bytes() == content


@pytest.mark.parametrize("content", [b"none\n", b"", bytes(40)])
def test_an_index_that_can_not_be_read_is_left_alone_and_made_elsewhere(fasta, content):
    index = fasta.with_name("genome.fa.fai")
    index.write_bytes(content)
    genome = open_genome(fasta)
    assert genome.set_aside == f"{index} can't be read"
    assert is_whole(genome)
    assert index.read_bytes() == content


@pytest.mark.parametrize("there", ["folder", "broken link"])
def test_something_else_in_an_indexs_place_is_left_alone(fasta, there):
    index = fasta.with_name("genome.fa.fai")
    if there == "folder":
        index.mkdir()
    else:
        index.symlink_to("nowhere/at/all")
    assert is_whole(open_genome(fasta))
    assert index.is_dir() or index.is_symlink()


def test_one_of_the_two_indices_of_a_packed_file_is_missing(fasta):
    path = packed(fasta)
    open_genome(path).close()
    path.with_name("genome.fa.gz.gzi").unlink()
    assert is_whole(open_genome(path))


@pytest.mark.parametrize(
    ("asked", "there"), [("1", "chr1"), ("Chr1", "chr1"), ("MT", "chrM"), ("M", "chrM"), ("chrMT", "chrM")]
)
def test_contigs_are_found_by_their_other_names(fasta, asked, there):
    genome = open_genome(fasta)
    assert genome.length(asked) == genome.length(there)
    assert genome.renamed == {asked: there}
    assert genome.length("2") is None
    genome.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin with >"),
        (b"##fileformat=VCFv4.2\n", "does not begin with >"),
        (gzip.compress(b">chr1\nACGT\n", mtime=0), "gzipped, not bgzipped: gunzip it, or pack it with bgzip"),
        (b">chr1\nAC\nACGT\nA\nACGT\n", "the lines of a contig differ in length"),
    ],
)
def test_why_a_file_is_no_genome(tmp_path, content, message):
    (tmp_path / "genome.fa").write_bytes(content)
    with pytest.raises(UserError, match=message):
        open_genome(tmp_path / "genome.fa")


def test_what_is_not_there_is_said(tmp_path):
    (tmp_path / "link.fa").symlink_to("nowhere.fa")
    for name, message in (("no.fa", "no such file"), ("", "is a folder"), ("link.fa", "is a link to nowhere.fa")):
        with pytest.raises(UserError, match=message):
            open_genome(tmp_path / name)
