"""The ledger: what it was told, one writer, one campaign a folder."""

from __future__ import annotations

import pytest
from trial_records import record

from nrtune.orchestrator.state import ledger as ledger_module
from nrtune.orchestrator.state.ledger import is_running, open_ledger
from nrtune.trainables.core.errors import UserError

IDENTITY = {"preset": "small", "seed": 0}


def open_(folder, identity=IDENTITY, must_exist=False):
    return open_ledger(folder, "c", identity, {}, must_exist=must_exist)


def test_the_ledger_keeps_what_it_was_told(tmp_path):
    book = open_(tmp_path / "c")
    book.append(record("a"))
    book.close()
    book = open_(tmp_path / "c", must_exist=True)
    assert list(book.records) == ["a"]
    book.close()


def test_a_torn_line_is_cut_before_the_next_is_written(tmp_path):
    book = open_(tmp_path / "c")
    book.append(record("a"))
    book.close()
    with (tmp_path / "c" / "trials.jsonl").open("a") as file:
        file.write(record("b").to_line()[:30])
    book = open_(tmp_path / "c")
    book.append(record("c"))
    book.close()
    assert list(open_(tmp_path / "c").records) == ["a", "c"]


def test_one_writer_at_a_time(tmp_path):
    book = open_(tmp_path / "c")
    assert is_running(tmp_path / "c")
    with pytest.raises(UserError, match="another search is writing to it"):
        open_(tmp_path / "c")
    book.close()
    assert not is_running(tmp_path / "c")


def test_a_folder_that_is_renamed_or_removed_is_not_made_again_at_its_old_place(tmp_path):
    book = open_(tmp_path / "c")
    book.append(record("a"))
    (tmp_path / "c" / ".lock").unlink()
    book.append(record("b"))
    (tmp_path / "c").rename(tmp_path / "d")
    assert not book.is_here()
    with pytest.raises(FileNotFoundError, match="was renamed or removed while it was written to"):
        book.append(record("c"))
    book.write_status("running", "search", [])
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    (tmp_path / "c" / "ray").mkdir(parents=True)  # as Ray makes it
    assert not book.is_here()
    assert "start again with --out where it is now" in ledger_module.left_behind(tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    book.close()
    assert list(open_(tmp_path / "d").records) == ["a", "b"]


def test_another_campaigns_settings_are_refused(tmp_path):
    open_(tmp_path / "c").close()
    with pytest.raises(UserError, match="holds a campaign with seed 0, not 1"):
        open_(tmp_path / "c", IDENTITY | {"seed": 1})


def test_a_manifest_that_was_never_finished_is_no_campaign(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / f".{ledger_module.MANIFEST}.1.partial").write_text("{")
    open_(tmp_path / "c").close()
