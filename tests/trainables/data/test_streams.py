"""Text files, a line at a time: however they are packed, ended and encoded, and whatever is wrong with them."""

from __future__ import annotations

import bz2
import gzip
import os
from pathlib import Path

import numpy as np
import pysam
import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data import streams
from nrtune.trainables.data.streams import readable, text_lines

LINES = ["one", "", "zwei Zürich", "three"]


def bgzipped(content: bytes, folder: Path) -> bytes:
    (folder / "plain").write_bytes(content)
    pysam.tabix_compress(str(folder / "plain"), str(folder / "packed"), force=True)
    return (folder / "packed").read_bytes()


@pytest.mark.parametrize("pack", ["plain", "gzip", "bgzip", "bzip2"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_are_those_of_the_text(tmp_path, pack, end, mark, last):
    content = (mark + end.join(LINES) + end * last).encode()
    packs = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "bgzip": lambda of: bgzipped(of, tmp_path)}
    (tmp_path / "some.txt").write_bytes(packs[pack](content))
    assert list(text_lines(tmp_path / "some.txt", "a text")) == LINES


def test_bytes_that_are_no_utf8_come_back(tmp_path):
    (tmp_path / "some.txt").write_bytes("Zürich\n".encode("latin-1"))
    (line,) = text_lines(tmp_path / "some.txt", "a text")
    assert line.encode("utf-8", "surrogateescape") == "Zürich".encode("latin-1")
    assert readable(line) == "Zürich" == readable("Zürich")


def test_what_is_torn_or_no_text_is_said(tmp_path):
    path = tmp_path / "some.txt"
    content = "\n".join(map(str, range(50_000))).encode()
    packed = bgzipped(content, tmp_path)
    for torn, message in (
        (gzip.compress(content, mtime=0)[:-2000], "can't be read to its end"),
        (bz2.compress(content)[:-2000], "can't be read to its end"),
        (packed[:2000], "the block that ends a bgzipped file is missing"),
        (packed[:-28], "the block that ends a bgzipped file is missing"),
        (packed + b"more", "the block that ends a bgzipped file is missing"),
        (gzip.compress(content, mtime=0) + b"more", "can't be read to its end"),
        (os.urandom(100) + b"\0", "is no text"),
        ("one\n".encode("utf-16"), "is no text, or text in UTF-16"),
    ):
        path.write_bytes(torn)
        with pytest.raises(UserError, match=rf"^{path}: .*{message}"):
            list(text_lines(path, "a text"))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_small_file_of_endless_empty_lines_is_refused(tmp_path, pack):
    path = tmp_path / "v.vcf.gz"
    path.write_bytes(pack(b"##x\n" + b"\n" * (streams.MOST_BLANK + 2**17)))
    with pytest.raises(UserError, match="has more than 1,048,576 empty lines in a row"):
        for _ in text_lines(path, "a VCF"):
            pass


def test_genotypes_that_are_nearly_all_alike_are_read(tmp_path):
    """As of rare variants in many samples, which pack best of all real text."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(20):
        calls = np.full(100_000, "0|0", object)
        calls[rng.choice(len(calls), 3)] = "0|1"
        lines.append("\t".join(calls))
    path = tmp_path / "v.vcf.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode(), 9))
    assert list(text_lines(path, "a VCF")) == lines


def test_a_line_without_an_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "LONGEST_LINE", 1 << 18)
    path = tmp_path / "v.vcf"
    path.write_bytes(b"##x\n" + b"A" * (1 << 17) + b"\n" + b"A" * (1 << 19))
    with pytest.raises(UserError, match="has a line of more than 262,144 bytes"):
        list(text_lines(path, "a VCF"))
