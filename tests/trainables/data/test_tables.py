"""What users give is read in one place: packed or not, whatever separates its columns, or one sentence says what is wrong."""

from __future__ import annotations

import bz2
import gzip
import os

import pandas as pd
import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.given import list_files
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.tables import FORMATS, read_bytes, read_table

TABLE = "name\tvalue\nfirst\t1\nsecond\t2\n"
EXPECTED = [["first", "1"], ["second", "2"]]


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.replace("\t", ",").encode(),
        TABLE.replace("\t", ";").encode(),
        TABLE.replace("\t", "|").encode(),
        TABLE.replace("\t", "  ").replace("\n", " \n").encode(),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + TABLE.encode(),
        TABLE.encode("utf-16"),
        f"{TABLE}\n \n\n".encode(),
        f"## made by hand\n\n#{TABLE}".encode(),
        b'"name","value"\n"first","1"\n"second","2"\n',
        gzip.compress(TABLE.encode(), mtime=0),
        bz2.compress(TABLE.encode()),
    ],
    ids=[
        "tab",
        "comma",
        "semicolon",
        "bar",
        "spaces",
        "crlf",
        "cr",
        "bom",
        "utf-16",
        "blank lines",
        "comments",
        "quoted",
        "gzip",
        "bzip2",
    ],
)
@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.csv.gz", "a"])
def test_a_table_is_read_by_what_it_holds(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    table = read_table(tmp_path / name, FORMATS)
    assert table.columns.tolist() == ["name", "value"]
    assert table.to_numpy().tolist() == EXPECTED


def test_a_quoted_cell_may_hold_what_separates(tmp_path):
    (tmp_path / "a.csv").write_text('name,value\n"first, of all",1\n')
    assert read_table(tmp_path / "a.csv", FORMATS)["name"].tolist() == ["first, of all"]


def test_a_quoted_cell_may_have_several_lines(tmp_path):
    (tmp_path / "a.csv").write_text('name,value,x\n"first\nof all",1,2\n')
    assert read_table(tmp_path / "a.csv", FORMATS)["name"].tolist() == ["first\nof all"]


def test_parquet_keeps_its_numbers(tmp_path):
    pd.DataFrame({"name": ["first"], "value": [0.5]}).to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", FORMATS).to_numpy().tolist() == [["first", 0.5]]


def _folder(path):
    path.mkdir()


def _broken_link(path):
    path.symlink_to("nowhere")


def _circle(path):
    path.symlink_to(path)


def _below_a_file(path):
    path.parent.joinpath("x").write_text("")
    return path.parent / "x" / "y"


def _without_permission(path):
    path.write_text(TABLE)
    path.chmod(0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_names_in_any_encoding_are_read(tmp_path, encoding):
    (tmp_path / "a.tsv").write_bytes("name\tvalue\nélément\t1\n".encode(encoding))
    assert read_table(tmp_path / "a.tsv", "a table").to_numpy().tolist() == [["élément", "1"]]


UNREADABLE = {
    "no such file": lambda path: None,
    "is a folder": _folder,
    "is a link to nowhere, which is not there": _broken_link,
    "can't be read": _circle,
    "no such file; ": _below_a_file,
    "is a pipe or a device": os.mkfifo,
    "is a damaged .gz file": lambda path: path.write_bytes(b"\x1f\x8bxyz"),
    "is a damaged .bz2 file": lambda path: path.write_bytes(b"BZhxyz"),
    "is a damaged Parquet file": lambda path: path.write_bytes(b"PAR1xyz"),
    "is no text": lambda path: path.write_bytes(b"\xff\x00\x80"),
    "is empty": lambda path: path.write_bytes(b"\n\n"),
    "row 2 has 1 column, its header 2": lambda path: path.write_text("a\tb\n1\t2\n3\n"),
    "every row has 3 columns, and its header 2; name the first": lambda path: path.write_text(
        "a\tb\nx\t1\t2\nx\t3\t4\n"
    ),
    "row 1 has a quotation mark that is not closed": lambda path: path.write_text('a\tb\n1\t"2\n3\t4\n5\t"6\n'),
    "more than 268,435,456 bytes in": lambda path: path.write_bytes(gzip.compress(bytes(1 << 20)) * 257),
    "holds 400,001 rows in": lambda path: path.write_bytes(gzip.compress(b"a\tb\n" + b"1\t2\n" * 400_000)),
    "cells in": lambda path: path.write_bytes(
        gzip.compress(b"\t".join([b"a"] * 200) + (b"\n" + b"\t" * 199) * 100_000)
    ),
    "holds 400,000 rows in": lambda path: pd.DataFrame({"seq": ["ACGT"] * 400_000}).to_parquet(path),
}


@pytest.mark.parametrize("suffix", [".tsv", ""])
@pytest.mark.parametrize("message", UNREADABLE)
def test_what_cannot_be_read_is_one_sentence(tmp_path, message, suffix):
    path = tmp_path / f"given{suffix}"
    path = UNREADABLE[message](path) if message == "no such file; " else (UNREADABLE[message](path), path)[1]
    for read in (lambda: read_table(path, FORMATS), lambda: read_dataset(path)):
        with pytest.raises(UserError) as error:
            read()
        assert message in str(error.value)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("message", ["no such file", "is a folder", "is a link to nowhere", "is a pipe or a device"])
def test_hdf5_that_cannot_be_read_is_one_sentence(tmp_path, message):
    next(make for known, make in UNREADABLE.items() if known.startswith(message))(tmp_path / "a.h5")
    with pytest.raises(UserError, match=message):
        read_dataset(tmp_path / "a.h5")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_one_sentence(tmp_path):
    for name in ("a.tsv", "a.h5"):
        _without_permission(tmp_path / name)
        with pytest.raises(UserError, match="can't be read"):
            read_dataset(tmp_path / name)


def test_a_folder_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    for name, message in (("file", "is a file"), ("link", "is a link to nowhere"), ("none", "no such folder")):
        with pytest.raises(UserError, match=message):
            list_files(tmp_path / name, "a folder of tables")
    assert list_files(tmp_path, "a folder") == [tmp_path / "file", tmp_path / "link"]


def test_bytes_come_unpacked_whatever_the_name(tmp_path):
    (tmp_path / "a.txt").write_bytes(gzip.compress(b"content"))
    assert read_bytes(tmp_path / "a.txt", "a file") == b"content"
