"""Ray's folder and the campaign's: found unfit before anything starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from nrtune.analysis.store.records import RECORDS
from nrtune.orchestrator.execution import places
from nrtune.orchestrator.execution.places import LONGEST, ROOM, SHORT, check_folder, place_for_ray
from nrtune.trainables.core.errors import UserError


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose name is short enough, removed at the end."""
    folder = Path("/tmp") / f"nrt{os.getpid()}"
    folder.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def test_rays_folder_lies_where_ray_has_its_own(short: Path, monkeypatch: pytest.MonkeyPatch):
    assert place_for_ray() == short
    other = short / "b"
    other.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(other))
    assert place_for_ray() == other
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.delenv("TMPDIR")
    assert place_for_ray() == Path("/tmp")


def test_one_that_is_too_long_for_a_socket_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / ("x" * LONGEST)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    assert str(place_for_ray()) in SHORT
    monkeypatch.setattr(places, "SHORT", (str(tmp_path / "none"),))
    with pytest.raises(UserError, match="is too long for a socket's path"):
        place_for_ray()


def test_one_in_which_others_can_move_things_is_refused(short: Path):
    short.chmod(0o1777)  # as /tmp has it: only who has made something can move it
    assert place_for_ray() == short
    for mode in (0o777, 0o703):
        short.chmod(mode)
        with pytest.raises(UserError, match=f"^TMPDIR {short}: everybody can move what lies in {short}: .*chmod o-w"):
            place_for_ray()
    short.chmod(0o700)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another account")
    os.chown(short, 65_534, 65_534)
    with pytest.raises(UserError, match=f"^TMPDIR {short}: it belongs to another account"):
        place_for_ray()


def test_a_missing_one_and_a_file_are_named(short: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(short / "none"))
    with pytest.raises(
        UserError, match=f"^TMPDIR {short}/none doesn't exist: make it, or set TMPDIR to another folder$"
    ):
        place_for_ray()
    (short / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(short / "file"))
    with pytest.raises(UserError, match=f"^RAY_TMPDIR {short}/file is no folder"):
        place_for_ray()


def test_a_full_disk_is_said_of_each(short: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=ROOM - 1))
    for check, named in (
        (place_for_ray, f"TMPDIR {short}"),
        (lambda: check_folder(short / "out"), f"--out {short}/out"),
    ):
        with pytest.raises(UserError, match=f"^{named} has 50 MB free, and 50 MB are needed: make room"):
            check()


def test_what_can_not_be_written_is_refused_whoever_asks():
    """/proc has no room, and the kernel lets nobody make a file of his own in it."""
    with pytest.raises(UserError, match=r"^--out /proc/campaign has 0 MB free"):
        check_folder(Path("/proc/campaign"))


def test_where_no_file_can_be_made_the_reason_is_said(short: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(places, "ROOM", 0)
    with pytest.raises(UserError, match=r"^--out /proc/campaign can't be written \(.+\): mend its permissions"):
        check_folder(Path("/proc/campaign"))


def test_a_file_where_the_campaign_shall_be(short: Path):
    (short / "file").touch()
    for out in (short / "file", short / "file" / "out"):
        with pytest.raises(UserError, match=f"{short}/file is no folder"):
            check_folder(out)
    check_folder(short / "new" / "out")
    assert sorted(path.name for path in short.iterdir()) == ["file"]


def test_records_that_can_not_be_written_are_named(short: Path, monkeypatch: pytest.MonkeyPatch):
    (short / RECORDS).touch()
    check_folder(short)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=f"{RECORDS} in it can't be written"):
        check_folder(short)
