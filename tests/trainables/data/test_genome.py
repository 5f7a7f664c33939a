"""A genome's index: taken where it is good, made where there is none, and never a reason to refuse a good file."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pysam
import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.bgzf import BlockFile
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


@pytest.mark.parametrize(
    "content",
    [
        "chr1\t20\t14\t20\t21\nchrM\t4\t42\t4\t5\n",  # each a base off
        "chrM\t20\t15\t20\t21\nchr1\t4\t42\t4\t5\n",
        "chrM\t4\t42\t4\t5\n",
        "chr1\t20\t15\t20\t21\n",
        "chr1\t20\t15\t20\t21\nchrM\t3\t42\t3\t4\n",
        "chr1\t20\t15\t0\t0\nchrM\t4\t42\t4\t5\n",
    ],
)
def test_the_index_of_another_file_is_left_alone_and_one_made_elsewhere(fasta, content):
    """As after a copy that kept the file's old time: nothing else tells that bases are read where they are not."""
    index = fasta.with_name("genome.fa.fai")
    index.write_text(content)
    os.utime(index, (2**31, 2**31))
    genome = open_genome(fasta)
    assert genome.set_aside == f"{index} is not that of genome.fa"
    assert (genome.length("chrM"), is_whole(genome)) == (4, True)


@pytest.fixture
def long_fasta(tmp_path: Path) -> Path:
    """Of several blocks, where it is packed, and another sequence behind."""
    path = tmp_path / "genome.fa"
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 150_000))
    path.write_text(f">chr1 the first\n{bases[:20]}\n{bases[20:40]}\n>chr2\n{bases}\n>chrM\nACGT\n")
    return path


def other_order(path: Path) -> None:
    first, second, last = path.read_text().split(">")[1:]
    path.write_text(f">{second}>{first}>{last}")


def other_length(path: Path) -> None:
    path.write_text(path.read_text().replace("\nACGT\n", "\nACG\n"))


def other_bases(path: Path) -> None:
    path.write_text(path.read_text().replace("ACGT", "AAAA"))


def shorter(path: Path) -> None:
    path.write_text(path.read_text().partition(">chrM")[0])


@pytest.mark.parametrize("which", [(".fai",), (".gzi",), (".fai", ".gzi")])
@pytest.mark.parametrize("change", [other_order, other_length, other_bases, shorter])
def test_an_index_of_another_packed_file_is_left_alone_and_one_made_elsewhere(long_fasta, which, change, tmp_path):
    other = tmp_path / "other" / "genome.fa"
    other.parent.mkdir()
    other.write_bytes(long_fasta.read_bytes())
    change(other)
    theirs, path = packed(other), packed(long_fasta)
    open_genome(theirs).close()
    open_genome(path).close()
    own = {end: path.with_name(path.name + end).read_bytes() for end in which}
    for end in which:
        index = path.with_name(path.name + end)
        index.write_bytes(theirs.with_name(theirs.name + end).read_bytes())
        os.utime(index, (2**31, 2**31))
    content = {end: path.with_name(path.name + end).read_bytes() for end in which}
    genome = open_genome(path)
    whole = pysam.FastaFile(str(long_fasta))
    assert [genome.length(name) for name in ("chr1", "chr2", "chrM")] == [40, 150_000, 4]
    assert all(genome.fetcher("chr2")(at, at + 9) == whole.fetch("chr2", at, at + 9) for at in range(0, 149_990, 5_000))
    assert genome.fetcher("chrM")(0, 4) == "ACGT"
    genome.close()
    assert {end: path.with_name(path.name + end).read_bytes() for end in which} == content
    assert bool(genome.set_aside) == (content != own)


@pytest.mark.parametrize("content", [b"", bytes(8), bytes(7), (2**63).to_bytes(8, "little"), bytes(9)])
def test_an_index_of_blocks_that_is_none_is_not_taken(long_fasta, content):
    path = packed(long_fasta)
    open_genome(path).close()
    path.with_name("genome.fa.gz.gzi").write_bytes(content)
    genome = open_genome(path)
    assert genome.set_aside
    assert genome.fetcher("chrM")(0, 4) == "ACGT"
    genome.close()


def test_a_contig_that_is_twice_in_a_packed_file_is_refused(fasta):
    fasta.write_text(f"{fasta.read_text()}>chr1 again\nCCCC\n")
    with pytest.raises(UserError, match="holds 'chr1' twice; keep one of them"):
        open_genome(packed(fasta))


def test_a_packed_file_is_read_from_any_place(long_fasta):
    with io.BufferedReader(BlockFile(packed(long_fasta))) as file:
        content = long_fasta.read_bytes()
        assert file.read() == content
        for place in (0, 65_279, 65_280, 70_000, len(content) - 1, len(content)):
            file.seek(place)
            assert (file.readline(), file.tell()) == (
                content[place:].partition(b"\n")[0] + b"\n" * (place < len(content)),
                content.find(b"\n", place) + 1 or len(content),
            )


def test_an_index_is_taken_whatever_lies_between_sequences(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">none\n>chr1 the first\n{BASES}\n\n\n>none either\n>chrM\nACGT\n\n")
    pysam.faidx(str(path))
    genome = open_genome(path)
    assert (genome.set_aside, is_whole(genome)) == ("", True)


@pytest.mark.parametrize("index", ["none", "there", "elsewhere"])
def test_a_contig_that_is_there_twice_is_refused(fasta, index):
    fasta.write_text(f"{fasta.read_text()}>chr2\nAAAA\n>chr1 again\nCCCC\n")
    if index == "there":
        pysam.faidx(str(fasta))
    elif index == "elsewhere":
        fasta.with_name("genome.fa.fai").mkdir()
    with pytest.raises(UserError, match="holds 'chr1' twice; keep one of them"):
        open_genome(fasta)


@pytest.mark.parametrize(("letter", "refused"), [("-", True), ("1", True), ("L", True), ("R", False), ("x", False)])
def test_what_is_no_base_is_refused_where_it_is_read(tmp_path, letter, refused):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\nACGTA{letter}ACGT\n")
    genome = open_genome(path)
    fetch = genome.fetcher("chr1")
    assert fetch(0, 5) == "ACGTA"
    if refused:
        with pytest.raises(UserError, match=f"chr1 has '{letter}' at 6, which is no base"):
            fetch(4, 8)
    else:
        assert fetch(4, 8) == f"A{letter}AC"
    genome.close()


@pytest.mark.parametrize("there", ["folder", "broken link", "pipe"])
def test_something_else_in_an_indexs_place_is_left_alone(fasta, there):
    index = fasta.with_name("genome.fa.fai")
    if there == "folder":
        index.mkdir()
    elif there == "pipe":
        os.mkfifo(index)
        os.utime(index, (2**31, 2**31))
    else:
        index.symlink_to("nowhere/at/all")
    assert is_whole(open_genome(fasta))
    assert index.is_dir() or index.is_symlink() or index.is_fifo()


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
        (b">chr1\nAC\nACGT\nA\nACGT\n", "the lines of a contig differ in length: see line 3, of 'chr1'"),
        (b">chr1 x\nAC\n>chr2 y\nACG\n\nACG\n", "differ in length: see line 6, of 'chr2'"),
        (b">chr1\nAC\n>chr2\n", "the last sequence, 'chr2' in line 3, is empty: leave it out"),
        (b">chr1\rACGT\r", "a carriage return alone, as an old Mac's"),
        (b"\xef\xbb\xbf>chr1\nACGT\n", "begins with a byte-order mark"),
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
