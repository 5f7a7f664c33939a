"""What an audit finds refuses a campaign, or is said wherever its results are."""

from __future__ import annotations

import json
import shutil

import h5py
import pytest
from in_process import run

from nrtune.analysis.report.headline import headline
from nrtune.analysis.sources.open import open_folder
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.orchestrator.campaign import checks
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.settings import Settings
from nrtune.orchestrator.views.best import answers
from nrtune.orchestrator.views.data_check import check
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.simulate import HDF5_NAME

DUPLICATES = "duplicates-across-splits"


@pytest.fixture
def leaking(simulated_folder, tmp_path):
    """Data of which three test sequences are trained on."""
    path = tmp_path / HDF5_NAME
    shutil.copy(simulated_folder / HDF5_NAME, path)
    with h5py.File(path, "r+") as file:
        file["Test"]["X"][:3] = file["Train"]["X"][:3]
    return path


def settings(path, folder, **fields):
    return Settings(data=path, out=folder / "out", families=("baseline",), trials=1, **fields)


def test_an_error_refuses_before_anything_is_written(leaking, tmp_path):
    with pytest.raises(
        UserError, match=rf"^test: sequences stand in train too.* \(3 of \d+\).*or --accept {DUPLICATES}"
    ):
        prepare(settings(leaking, tmp_path))
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="--accept ref-disagrees: no finding is called so"):
        prepare(settings(leaking, tmp_path, accept=(DUPLICATES, "ref-disagrees")))


def test_an_accepted_error_is_in_the_books_and_said_first(leaking, tmp_path):
    plan = prepare(settings(leaking, tmp_path, accept=(DUPLICATES,)))
    assert any(note.startswith(f"error {DUPLICATES}: test: ") for note in plan.notes())
    open_ledger(plan.folder, "out", plan.identity(), plan.about(), must_exist=False).close()
    campaign = open_folder(plan.folder)
    assert (campaign.audit.findings, campaign.audit.accepted) == (plan.findings, (DUPLICATES,))
    comparisons = Comparisons(campaign)
    said = campaign.audit.accepted_sentence()
    assert said.startswith(f"An error in the data was accepted ({DUPLICATES}): test: sequences stand in train too")
    assert headline(comparisons).startswith(said)
    assert answers(comparisons, ["overall"])[0] == said


def test_what_nobody_harmed_is_read_without_a_word(simulated_folder, tmp_path):
    plan = prepare(settings(simulated_folder / HDF5_NAME, tmp_path))
    assert not any(note.startswith(("error ", "warning ")) for note in plan.notes())
    open_ledger(plan.folder, "out", plan.identity(), plan.about(), must_exist=False).close()
    campaign = open_folder(plan.folder)
    assert campaign.audit.accepted_sentence() == ""
    assert headline(Comparisons(campaign)).startswith("There is no winner")


def test_the_same_data_are_audited_once(leaking, tmp_path, monkeypatch):
    plan = prepare(settings(leaking, tmp_path, accept=(DUPLICATES,)))
    open_ledger(plan.folder, "out", plan.identity(), plan.about(), must_exist=False).close()
    monkeypatch.setattr(checks, "audit", lambda *_: pytest.fail("audited again"))
    assert prepare(settings(leaking, tmp_path, accept=(DUPLICATES,))).findings == plan.findings
    with pytest.raises(UserError, match=f"or --accept {DUPLICATES}"):
        prepare(settings(leaking, tmp_path))
    monkeypatch.setattr(checks, "audit", lambda *_: [])
    with h5py.File(leaking, "r+") as file:
        file["Test"]["y"][0, 0] += 1
    assert prepare(settings(leaking, tmp_path)).findings == ()


def test_what_a_campaign_of_before_accepts_is_in_its_books(leaking, tmp_path):
    plan = prepare(settings(leaking, tmp_path, accept=(DUPLICATES,)))
    about = {key: value for key, value in plan.about().items() if key != "audit"}
    about["settings"] = {key: value for key, value in about["settings"].items() if key != "accept"}
    open_ledger(plan.folder, "out", plan.identity(), about, must_exist=False).close()
    assert open_folder(plan.folder).audit.accepted_sentence() == ""
    open_ledger(plan.folder, "out", plan.identity(), plan.about(), must_exist=True).close()
    campaign = open_folder(plan.folder)
    assert campaign.audit.accepted == (DUPLICATES,)
    assert campaign.manifest["settings"]["accept"] == [DUPLICATES]


def test_data_check_finds_the_same_and_leaves_with_2(leaking, simulated_folder, monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, "data", "check", leaking)
    assert code == 2
    assert f"error {DUPLICATES}: test: sequences stand in train too" in out
    assert err.startswith("nrtune: test: sequences stand in train too")
    assert run(monkeypatch, capsys, "data", "check", leaking, "--accept", DUPLICATES)[0] == 0
    code, out, _ = run(monkeypatch, capsys, "data", "check", leaking, "--json", "--accept", DUPLICATES)
    found = [one for one in json.loads(out)["findings"] if one["severity"] == "error"]
    assert [(one["id"], one["where"], one["count"]) for one in found] == [(DUPLICATES, "test", 3)]
    code, out, _ = run(monkeypatch, capsys, "data", "check", simulated_folder / HDF5_NAME)
    assert (code, out.splitlines()[-1]) == (0, "the audit found nothing")
    code, out, _ = run(monkeypatch, capsys, "data", "check", simulated_folder / HDF5_NAME, simulated_folder / "cagi5")
    assert code == 0
    assert not [line for line in out.splitlines() if line.startswith(("error", "warning"))]
    code, _, err = run(monkeypatch, capsys, "data", "check", leaking, simulated_folder / HDF5_NAME)
    assert code == 2
    assert "is a second data file" in err


@pytest.mark.parametrize("line", [None, "HepG2"])
def test_data_check_audits_what_a_campaign_on_the_same_would(real_data, simulated_folder, tmp_path, line):
    """Whose elements are averaged is told by the data file's name, or by --cell-line, whatever the folder is called."""
    data = tmp_path / ("lentiMPRA_HepG2.h5" if line is None else "lentiMPRA.h5")
    shutil.copy(simulated_folder / HDF5_NAME, data)
    folder = shutil.copytree(real_data / "cagi5", tmp_path / "cagi5_K562")
    for name in ("F9", "HBB"):  # too few to select on: a warning of a matched element alone
        lines = (folder / f"release_{name}.tsv").read_text().splitlines()
        (folder / f"release_{name}.tsv").write_text("\n".join(lines[:12]))
    found = check([folder, data], line)
    assert found.benchmarks[0].cell_line == "HepG2"
    assert found.findings == prepare(settings(data, tmp_path, cagi5=folder, cell_line=line)).findings
    assert {one.where for one in found.findings if one.id == "small-stratum"} == {"cagi5_K562, F9"}
    with pytest.raises(UserError, match="is a second cagi5, and a campaign takes one"):
        check([folder, data, shutil.copytree(folder, tmp_path / "again")], line)
