"""Lines that are on disk whole or not at all."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from nrtune.trainables.core.files import append_line


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
