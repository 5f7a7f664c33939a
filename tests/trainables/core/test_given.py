"""Paths that users give, of every kind that is no file or folder."""

from __future__ import annotations

import os

import pytest

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.given import check_file, list_files


def test_what_is_no_file_is_said(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for name, message in (
        ("no", "no such file; give a text"),
        ("", "is a folder; give a text"),
        ("link", "is a link to nowhere, which is not there; give a text"),
        ("round", r"can't be read \(Too many levels of symbolic links\)"),
        ("pipe", "is a pipe or a device; write it to a file, and give a text"),
        ("file/below", "no such file; give a text"),
        ("x" * 300, r"can't be read \(File name too long\)"),
    ):
        with pytest.raises(UserError, match=message):
            check_file(tmp_path / name, "a text")


def test_what_is_no_folder_is_said(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name, message in (
        ("no", "no such folder; give a folder of files"),
        ("file", "is a file; give a folder of files"),
        ("link", "is a link to nowhere, which is not there"),
        ("x" * 300, r"can't be read \(File name too long\)"),
    ):
        with pytest.raises(UserError, match=message):
            list_files(tmp_path / name, "a folder of files")
    assert [path.name for path in list_files(tmp_path, "files")] == ["file", "link"]
