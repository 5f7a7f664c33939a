"""The orchestrator's parts: ledger, schedulers, failures, family studies, time limits."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import optuna
import pytest

from nrtune.analysis.books import TrialRecord
from nrtune.orchestrator import ledger as ledger_module
from nrtune.orchestrator.family_search import FamilyStudy, Proposal, open_storage, open_study
from nrtune.orchestrator.faults import TrialTimeout
from nrtune.orchestrator.ledger import DATABASE, default_uri, is_running, open_ledger
from nrtune.orchestrator.tracking import Tracker
from nrtune.orchestrator.tune_trainable import _TimeLimit
from nrtune.search_spaces import FAMILIES, SWITCH
from nrtune.trainables.config import TrialConfig, preset
from nrtune.trainables.errors import UserError

IDENTITY = {"preset": "small", "seed": 0}


def record(fingerprint: str, **fields: object) -> TrialRecord:
    given = {"name": fingerprint, "family": "baseline", "number": 0, "status": "finished", "config": {}, "metrics": {},
             "epochs_trained": 1, "seconds": 1.0, "started": "", "ended": ""}  # fmt: skip
    return TrialRecord(fingerprint=fingerprint, **{**given, **fields})


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


def test_another_campaigns_settings_are_refused(tmp_path):
    open_(tmp_path / "c").close()
    with pytest.raises(UserError, match="holds a campaign with seed 0, not 1"):
        open_(tmp_path / "c", IDENTITY | {"seed": 1})


def test_a_manifest_that_was_never_finished_is_no_campaign(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / f".{ledger_module.MANIFEST}.1.partial").write_text("{")
    open_(tmp_path / "c").close()


def test_a_time_limit_cuts_a_hang():
    with pytest.raises(TrialTimeout), _TimeLimit(0.05):
        time.sleep(5)
    with _TimeLimit(None):
        pass
    with pytest.raises(TrialTimeout), _TimeLimit(0.0):
        pytest.fail("no time was left")


def make_config(parameters):
    return TrialConfig.from_flat({**preset("small", parameters["encoder"]), **parameters})


def open_family(folder, name="rank_stability"):
    folder.mkdir(exist_ok=True)
    study = open_study(open_storage(folder, None), name, "id")
    return FamilyStudy(name, FAMILIES.get(name), study, make_config, lambda config: config.fingerprint(), seed=0)


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_published_values_come_first_then_the_search(tmp_path):
    family = open_family(tmp_path)
    points = FAMILIES.get("rank_stability").starting_points()
    known: set[str] = set()
    for number in range(len(points) + 3):
        proposal = family.propose(known)
        assert proposal.fingerprint not in known
        known.add(proposal.fingerprint)
        assert proposal.name == f"RS-{number + 1:03d}"
        if number < len(points):
            assert proposal.published == points[number][0]
            told = {key: value for key, value in points[number][1].items() if not key.startswith(SWITCH)}
            assert told.items() <= proposal.config.items()
        else:
            assert proposal.published is None
        family.report(proposal.number, 1, 0.1)
        family.tell(record(proposal.fingerprint, number=proposal.number), 0.1)


def test_interrupted_proposals_come_first_after_a_restart(tmp_path):
    family = open_family(tmp_path)
    proposals = [family.propose(set()) for _ in range(3)]
    family.report(proposals[1].number, 1, 0.5)
    family.tell(record(proposals[0].fingerprint, number=0), 0.3)
    again = open_family(tmp_path)
    again.reconcile({proposals[0].fingerprint: record(proposals[0].fingerprint)}, lambda r: 0.3)
    assert [again.propose(set()), again.propose(set())] == proposals[1:]
    again.report(proposals[1].number, 1, 0.5)  # told before the crash: not told twice
    again.report(proposals[1].number, 2, 0.6)
    assert again.study.get_trials()[proposals[1].number].intermediate_values == {1: 0.5, 2: 0.6}


def test_optuna_gets_some_of_short_epochs_and_the_last(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    family = open_family(tmp_path)
    proposal = family.propose(set())
    for epoch in range(1, 8):
        family.report(proposal.number, epoch, epoch / 10)
        clock[0] += 0.4
    family.tell(record(proposal.fingerprint, number=proposal.number), 0.7)
    assert family.study.get_trials()[0].intermediate_values == {1: 0.1, 4: 0.4, 7: 0.7}


def test_a_restart_does_not_change_what_is_proposed(tmp_path):
    whole, known = open_family(tmp_path / "a"), set()
    expected = [whole.propose(known) for _ in range(8)]
    cut = []
    for _ in range(8):
        family = open_family(tmp_path / "b")  # a restart before each
        ended = {
            p.fingerprint: record(p.fingerprint, family="rank_stability", number=p.number, status="failed") for p in cut
        }
        family.reconcile(ended, lambda r: None)
        cut.append(family.propose(known))
    assert cut == expected
    other = open_study(open_storage(tmp_path, None), "rank_stability", "id")
    seeded = FamilyStudy(
        "rank_stability", FAMILIES.get("rank_stability"), other, make_config, TrialConfig.fingerprint, seed=1
    )
    assert [seeded.propose(known) for _ in range(8)] != expected


def test_a_starting_point_that_was_cut_off_keeps_its_place(tmp_path):
    whole = open_family(tmp_path / "a")
    expected = [whole.propose(set()).published for _ in range(4)]
    assert None not in expected
    family, found = open_family(tmp_path / "b"), []
    for _ in expected:
        suggest = family._suggest

        def strike(trial, suggest=suggest):
            suggest(trial)
            raise KeyboardInterrupt

        family._suggest = strike
        with pytest.raises(KeyboardInterrupt):
            family.propose(set())
        family = open_family(tmp_path / "b")
        family.reconcile({}, lambda r: None)
        found = [family.propose(set()).published for _ in range(len(found) + 1)]
    assert found == expected


def test_what_ended_but_was_not_told_is_told_after_a_restart(tmp_path):
    family = open_family(tmp_path)
    ends = {"finished": 0.3, "pruned": None, "failed": None}
    records = {}
    for number, status in enumerate(ends):
        proposal = family.propose(set())
        family.report(number, 1, 0.1)
        records[proposal.fingerprint] = record(
            proposal.fingerprint, family="rank_stability", number=number, status=status
        )
    again = open_family(tmp_path)
    again.reconcile(records, lambda r: ends[r.status])
    states = [t.state.name for t in again.study.get_trials()[:3]]
    assert states == ["COMPLETE", "PRUNED", "FAIL"]


def test_a_proposal_cut_short_is_closed_and_the_studys_own_asked_again(tmp_path):
    family = open_family(tmp_path)
    family.study.ask()  # the first published point, killed before it had a fingerprint
    again = open_family(tmp_path)
    again.reconcile({}, lambda r: None)
    names = {again.propose(set()).published for _ in range(5)}
    assert names == {name for name, _ in FAMILIES.get("rank_stability").starting_points()}
    assert again.study.get_trials()[0].state.name == "FAIL"


def test_a_torn_journal_is_mended(tmp_path):
    open_family(tmp_path).propose(set())
    with (tmp_path / "optuna.journal").open("a") as file:
        file.write('{"op_code": 4, "half')
    (tmp_path / "optuna.journal.lock").symlink_to(tmp_path / "optuna.journal")
    again = open_family(tmp_path)
    again.reconcile({}, lambda r: None)
    assert again.propose(set()).name == "RS-001"


def test_a_repeat_is_asked_anew(tmp_path):
    family = open_family(tmp_path, "baseline")
    first = family.propose(set())
    family.tell(record(first.fingerprint, number=0), 0.1)
    family.study.enqueue_trial({"lr": 0.005, "weight_decay": 0.01, "encoder.dropout": 0.5})
    second = family.propose({first.fingerprint})
    assert second.fingerprint != first.fingerprint
    assert [t.state.name for t in family.study.get_trials()] == ["COMPLETE", "FAIL", "RUNNING"]


def test_families_do_not_run_one_trial_twice(tmp_path):
    """Two families with one configuration: what one has under way, or had when it was struck, the other leaves alone."""
    folders = tmp_path / "a", tmp_path / "b"
    first, second = (open_family(folder, "baseline") for folder in folders)
    mine = first.propose(set())
    assert second.propose({mine.fingerprint}).fingerprint != mine.fingerprint
    again = open_family(folders[0], "baseline")
    again.reconcile({}, lambda r: None)
    assert again.interrupted() == [mine.fingerprint]
    fresh = open_family(tmp_path / "c", "baseline")
    assert fresh.propose(set(), again.interrupted()).fingerprint != mine.fingerprint
    assert again.propose(set(), again.interrupted()) == mine


def test_a_trial_that_another_family_ended_is_closed_under_its_own_number(tmp_path):
    family = open_family(tmp_path, "baseline")
    mine = family.propose(set())
    again = open_family(tmp_path, "baseline")
    again.reconcile({mine.fingerprint: record(mine.fingerprint, family="other", number=7)}, lambda r: 0.1)
    assert [t.state.name for t in again.study.get_trials()] == ["FAIL"]


def test_a_lost_storage_is_said(tmp_path):
    with pytest.raises(UserError, match="lacks trials that the campaign has"):
        open_family(tmp_path, "baseline").reconcile({"a": record("a", number=3)}, lambda r: 0.1)


@pytest.mark.end_to_end
def test_mlflow_is_written_once_whatever_the_crash(tmp_path):
    """Struck between an end's last tag and its closing; between a run and its parameters; and asked to write twice."""
    manifest = {"id": "x", "name": "c", "identity": {"select_on": "release"}}

    def tracker() -> Tracker:
        return Tracker(default_uri(tmp_path), tmp_path, manifest, {"seed": 0})

    proposal = Proposal("T-001", "baseline", 0, {"lr": 0.1}, "f", "X1", {"Y2": "b"})
    ended = record("f", metrics={"test/spearman": 0.5}, ended="2026-01-01T00:00:00+00:00")
    first = tracker()
    parameters = first._parameters
    first._parameters = lambda run, given: None
    first.start(proposal, {})
    first._parameters = parameters
    run_id = first._runs["f"].info.run_id
    first.log_history("f", [{"epoch": 1.0, "train/loss": 2.0}])
    first.client.set_terminated = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        first.finish(ended, (), [], 0.5)
    second = tracker()
    assert not second.is_closed("f")
    assert second.unfinished() == ["f"]
    second.start(proposal, {})
    second.finish(ended, [{"epoch": 1.0, "train/loss": 2.0}, {"epoch": 2.0, "train/loss": 1.0}], [], 0.5)
    third = tracker()
    assert third.is_closed("f")
    run = third.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.1"}
    assert (run.data.tags["published"], run.data.tags["also_published"]) == ("X1", "Y2")
    assert [m.value for m in third.client.get_metric_history(run_id, "test/spearman")] == [0.5]
    assert [m.value for m in third.client.get_metric_history(run_id, "train/loss")] == [2.0, 1.0]


@pytest.mark.end_to_end
def test_a_database_killed_at_its_making_is_made_anew(tmp_path):
    manifest = {"id": "x", "name": "c", "identity": {"select_on": "release"}}
    code = (
        "import json, sys; from pathlib import Path; from nrtune.orchestrator.tracking import Tracker\n"
        "uri, folder, manifest = sys.argv[1:]\n"
        "Tracker(uri, Path(folder), json.loads(manifest), {})"
    )
    command = [sys.executable, "-c", code, default_uri(tmp_path), tmp_path, json.dumps(manifest)]
    with subprocess.Popen(command) as maker:
        while not any(path.stat().st_size for path in tmp_path.glob(".mlflow.db.*.partial")):
            assert maker.poll() is None
            time.sleep(0.01)
        maker.kill()
    assert not (tmp_path / DATABASE).exists()
    tracker = Tracker(default_uri(tmp_path), tmp_path, manifest, {"seed": 0})
    assert tracker.client.get_run(tracker.parent_id).data.params == {"seed": "0"}


@pytest.mark.end_to_end
def test_a_closed_run_stays_closed_whatever_comes_late(tmp_path):
    manifest = {"id": "x", "name": "c", "identity": {"select_on": "release"}}
    tracker = Tracker(default_uri(tmp_path), tmp_path, manifest, {"seed": 0})
    proposal = Proposal("T-001", "baseline", 0, {"lr": 0.1}, "f", None, {})
    tracker.start(proposal, {})
    tracker.finish(record("f", metrics={"test/spearman": 0.5}, ended="2026-01-01T00:00:00+00:00"), (), [], 0.5)
    tracker.start(proposal, {})
    tracker.interrupt(["f"])
    run = tracker.client.get_run(tracker._runs["f"].info.run_id)
    assert (run.info.status, run.data.tags["nrtune.status"]) == ("FINISHED", "finished")


def test_a_study_of_another_campaign_is_refused(tmp_path):
    open_family(tmp_path)
    with pytest.raises(UserError, match="belongs to another campaign"):
        open_study(open_storage(tmp_path, None), "rank_stability", "other")
