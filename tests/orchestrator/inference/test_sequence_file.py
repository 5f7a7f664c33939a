"""Plain sequences: named by their whole header, shown between the adapters of the training, and what they lack is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from nrtune.orchestrator.inference.sequence_file import SequenceFile
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.adapters import Adapters
from nrtune.trainables.data.sequences import to_text

LENGTH, ADAPTERS = 12, Adapters("AACC", "GGT")


def shown(path: Path, content: str | bytes, adapters: Adapters | None = ADAPTERS):
    """Of each record its name, what the model is shown, and the counts; and the findings, by their ids."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = SequenceFile(path, LENGTH, adapters)
    rows = [(one.name, to_text(one.tokens), one.n_bases, one.padded, one.adapter_bases) for one in file]
    return rows, {finding.id: finding for finding in file.findings}


def test_inserts_are_put_between_the_adapters(tmp_path):
    rows, found = shown(tmp_path / "s.fa", ">a\nTTTTT\n>b\nAACCTTTTTGGT\n>c\nAACCTTTTT\n>d\nccTTTTTg\n")
    assert [row[1] for row in rows] == ["AACCTTTTTGGT"] * 4
    assert [row[2:] for row in rows] == [(0, 0, 7), (0, 0, 0), (0, 0, 3), (0, 0, 4)]
    assert set(found) == {"between-adapters"}
    one = found["between-adapters"]
    assert (one.severity, one.count, one.of, one.example) == ("note", 3, 4, "a")
    assert one.what == "sequences were put between the adapters that the model was trained with (AACC … GGT)"


def test_other_lengths_and_other_ends_are_said(tmp_path):
    rows, found = shown(tmp_path / "s.fa", ">a\nTTTT\n>b\nTTTTTTTT\n>c\nTTTTTTTTTTTT\n>d\nAACCTTTTTGGT\n")
    assert [row[1] for row in rows] == ["NNNNTTTTNNNN", "NNTTTTTTTTNN", "TTTTTTTTTTTT", "AACCTTTTTGGT"]
    assert [row[2:] for row in rows] == [(0, 8, 0), (0, 4, 0), (0, 0, 0), (0, 0, 0)]
    assert set(found) == {"sequences-padded", "sequences-mostly-n", "adapters-missing"}
    assert {finding.severity for finding in found.values()} == {"warning"}
    assert found["sequences-padded"].what == (
        "sequences of 4 to 8 bases have N around them, as the model takes 12, or 5 between its adapters"
    )
    assert found["sequences-mostly-n"].what == "sequence is more than half N, as the model is shown it"
    assert (found["adapters-missing"].count, found["adapters-missing"].example) == (1, "c")


@pytest.mark.parametrize("adapters", [None, Adapters("", "")])
def test_without_adapters_n_is_put_around_as_before(tmp_path, adapters):
    rows, found = shown(tmp_path / "s.fa", ">a\nTTTTTTTTT\n>b\nTTTTTTTTTTTT\n", adapters)
    assert [row[1] for row in rows] == ["NTTTTTTTTTNN", "TTTTTTTTTTTT"]
    assert {id_: finding.severity for id_, finding in found.items()} == {"sequences-padded": "note"}


def test_letters_are_taken_for_bases_and_counted(tmp_path):
    rows, found = shown(tmp_path / "s.fa", ">a\nacguu\n>b\nACGTR\n>c\nACYNN\n>d\nACGTA\n")
    assert [row[1][4:9] for row in rows] == ["ACGTT", "ACGTN", "ACNNN", "ACGTA"]
    assert [row[2] for row in rows] == [0, 1, 3, 0]
    counts = {id_: finding.count for id_, finding in found.items()}
    assert counts == {"between-adapters": 4, "u-for-t": 1, "ambiguous-letters": 2, "sequences-with-n": 2}


def test_names_are_whole_headers_and_twice_is_said(tmp_path):
    rows, found = shown(
        tmp_path / "s.fa", ">chr1:8  G>T\trev\nTTTTT\n>chr1:8 G>A\nTTTTT\n>chr1:8 G>A\nTTTTT\n>\nTTTTT\n"
    )
    assert [row[0] for row in rows] == ["chr1:8  G>T\trev", "chr1:8 G>A", "chr1:8 G>A", ""]
    assert (found["names-twice"].count, found["names-twice"].example) == (1, "chr1:8 G>A")


@pytest.mark.parametrize(
    "content",
    [
        b">a b\r\nTT\r\nTTT\r\n",
        b"\xef\xbb\xbf>a b\nTTTTT",
        b"\n; made by hand\n>a b\n\nTT TT\n\nT\n\n",
        gzip.compress(b">a b\nTTTTT\n", mtime=0),
    ],
)
def test_however_a_file_is_written(tmp_path, content):
    assert shown(tmp_path / "s.fa", content)[0] == [("a b", "AACCTTTTTGGT", 0, 0, 7)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no sequence"),
        ("\n\n", "holds no sequence"),
        ("ACGT\n>a\nACGT\n", "holds no sequence before line 1"),
        ("@a\nACGT\n+\nIIII\n", "line 1 begins with @, as FASTQ does"),
        (">a\n>b\nACGT\n", "a has 0 bases; the model takes 1 to 12"),
        (">a\nACGT\n>\n", "the record of line 3 has 0 bases"),
        (">long one\nACGTACGTACGTA\n", "long one has 13 bases; the model takes 1 to 12: cut it to them"),
        (">a\nACG-T\n", "a: row 1 has '-' at position 4; only A C G T N are bases"),
        (">a\nMKLVE\n", "a: row 1 has 'L' at position 3"),
        (">a\nACGé\n", "a: row 1 has a letter outside ACGTN"),
    ],
)
def test_what_is_no_file_of_sequences(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        shown(tmp_path / "s.fa", content)
