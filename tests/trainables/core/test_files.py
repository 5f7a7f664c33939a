"""Lines that are on disk whole or not at all."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import append_line, cut_torn_line, write_atomically


def test_a_full_disk_leaves_no_half_line(tmp_path: Path):
    """The largest size of a file stands for the disk's: a part of the line is written before the error."""
    path = tmp_path / "lines"
    append_line(path, "one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len("one\n") + 3, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            append_line(path, "two, which is too long")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "one\n"
    append_line(path, "two")
    assert path.read_text() == "one\ntwo\n"


def test_nothing_is_written_through_a_link_of_the_temporary_file_s_name(tmp_path):
    (tmp_path / "letter").write_text("the user's own")
    (tmp_path / f".x.{os.getpid()}.partial").symlink_to(tmp_path / "letter")
    write_atomically(tmp_path / "x", lambda path: path.write_text("one"))
    assert ((tmp_path / "x").read_text(), (tmp_path / "letter").read_text()) == ("one", "the user's own")
    assert not (tmp_path / "x").is_symlink()


@pytest.mark.parametrize("change", [lambda path: append_line(path, "one"), cut_torn_line])
def test_no_line_is_added_to_or_cut_from_what_is_no_file_of_this_name(tmp_path, change):
    (tmp_path / "letter").write_text("whole\nwithout an end")
    (tmp_path / "link").symlink_to("letter")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, said in {"link": "is a symbolic link", "pipe": "is a pipe", "folder": "is a folder"}.items():
        with pytest.raises(UserError, match=said):
            change(tmp_path / name)
    assert (tmp_path / "letter").read_text() == "whole\nwithout an end"
