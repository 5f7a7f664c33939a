"""A copy of a campaign's folder is another campaign to servers and databases; one that was moved is the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tracked import IDENTITY, opened

from nrtune.analysis.store.records import read_manifest
from nrtune.orchestrator.state.copies import PLACE, ids_of, in_its_place


def number(folder: Path) -> str:
    """The campaign's id, once it was opened, and made if there was none."""
    opened(folder).close()
    return str(read_manifest(folder)["id"])


def test_a_renamed_folder_is_the_same_and_its_copy_another_that_stays_so(tmp_path: Path):
    before = number(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    (tmp_path / "first").rename(tmp_path / "moved")
    assert number(tmp_path / "moved") == before
    ledger = opened(tmp_path / "copy")
    ledger.close()
    assert f":{tmp_path / 'first'}: outside of its folder it is a campaign of its own from now on" in ledger.copied
    assert ids_of(read_manifest(tmp_path / "copy")) == [before, ledger.manifest["id"]]
    again = opened(tmp_path / "copy")
    again.close()
    assert (again.manifest["id"], again.copied) == (ledger.manifest["id"], "")
    assert read_manifest(tmp_path / "moved")["identity"] == read_manifest(tmp_path / "copy")["identity"] == IDENTITY


def test_what_is_put_back_is_the_same_unless_the_original_stands_beside_it(tmp_path: Path):
    before = number(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "elsewhere" / "backup")
    shutil.rmtree(tmp_path / "first")
    shutil.copytree(tmp_path / "elsewhere" / "backup", tmp_path / "first")
    assert number(tmp_path / "first") == before
    (tmp_path / "first").rename(tmp_path / "kept")
    shutil.copytree(tmp_path / "kept", tmp_path / "first")
    assert number(tmp_path / "first") != before
    assert number(tmp_path / "kept") == before


@pytest.mark.parametrize(
    ("there", "is_same"),
    [
        ({"host": "another"}, True),  # a network's file system, at the same path
        ({"folder": "/elsewhere"}, True),  # a bind mount, or renamed
        ({"host": "another", "folder": "/elsewhere"}, False),
        ({"host": "another", "inode": 0}, False),  # by rsync, to the same path
        ({"folder": "/elsewhere", "inode": 0}, False),  # a copy whose original was renamed
        ({"folder": "/elsewhere", "inode": 0, "device": 0}, True),  # moved to another file system
    ],
)
def test_what_is_known_of_the_place_decides(tmp_path: Path, there: dict[str, Any], is_same: bool):
    before = number(tmp_path / "c")
    manifest = read_manifest(tmp_path / "c")
    assert (in_its_place(tmp_path / "c", manifest | {PLACE: manifest[PLACE] | there})["id"] == before) == is_same


def test_a_campaign_that_never_knew_its_place_has_it_from_now_on(tmp_path: Path):
    before = number(tmp_path / "c")
    manifest = {key: value for key, value in read_manifest(tmp_path / "c").items() if key != PLACE}
    assert in_its_place(tmp_path / "c", manifest) == read_manifest(tmp_path / "c")
    assert manifest["id"] == before
