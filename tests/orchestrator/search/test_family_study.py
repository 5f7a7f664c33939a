"""A family's study: proposals, restarts, what was cut off."""

from __future__ import annotations

import optuna
import pytest
from trial_records import record

from nrtune.orchestrator.search.family_study import FINGERPRINT, FamilyStudy
from nrtune.orchestrator.search.optuna_storage import copy_study, open_storage, open_study
from nrtune.search_spaces import FAMILIES, SWITCH, Choice, EncoderSpace, Float, on_encoders
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.training.config import TrialConfig, preset


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


def test_a_study_of_another_campaign_is_refused(tmp_path):
    open_family(tmp_path)
    with pytest.raises(UserError, match="belongs to another campaign"):
        open_study(open_storage(tmp_path, None), "rank_stability", "other")


def test_encoders_whose_parameters_share_a_name_have_each_its_own_range(tmp_path):
    """Optuna refuses a name with two sets of values; a trial has the plain name."""
    spaces = [
        EncoderSpace(name="dream_rnn", parameters=(Choice(name="encoder.channels", values=(4, 8), default=8),)),
        EncoderSpace(
            name="factorized",
            parameters=(Choice(name="encoder.channels", values=(2, 3, 5), default=3),),
            lr=Float(name="lr", low=0.003, high=0.02, default=0.01, log=True),
        ),
    ]
    opened = on_encoders(FAMILIES.get("baseline"), spaces)
    study = open_study(open_storage(tmp_path, None), "baseline", "id")
    family = FamilyStudy("baseline", opened, study, make_config, lambda config: config.fingerprint(), seed=0)
    known: set[str] = set()
    configs = []
    for _ in range(16):  # beyond the starting points and the random trials
        proposal = family.propose(known)
        known.add(proposal.fingerprint)
        configs.append(proposal.config)
        family.tell(record(proposal.fingerprint, number=proposal.number), 0.1)
    assert [(of["encoder"], of["encoder.channels"], of["lr"]) for of in configs[:2]] == [
        ("dream_rnn", 8, 0.005),
        ("factorized", 3, 0.01),
    ]
    assert {of["encoder"] for of in configs[2:]} == {"dream_rnn", "factorized"}
    for of in configs:
        assert of["encoder.channels"] in ((4, 8) if of["encoder"] == "dream_rnn" else (2, 3, 5))
        assert of["encoder"] == "dream_rnn" or of["lr"] >= 0.003


def test_the_study_of_a_copy_has_what_the_copy_knows_and_proposes_the_rest_again(tmp_path):
    storage = open_storage(tmp_path, f"sqlite:///{tmp_path / 'studies.db'}")

    def family_in(name, campaign, before=()):
        study = open_study(storage, name, campaign, copied_from=before)
        space = FAMILIES.get("rank_stability")
        return FamilyStudy("rank_stability", space, study, make_config, lambda config: config.fingerprint(), seed=0)

    original = family_in("first", "1")
    proposals = [original.propose(set()) for _ in range(3)]
    for value, proposal in enumerate(proposals[:2]):
        original.tell(record(proposal.fingerprint, number=proposal.number), float(value))
    known = {proposals[0].fingerprint: record(proposals[0].fingerprint)}
    before = original.study.get_trials()

    def copy():
        copy_study(storage, "first", "copy", lambda trial: trial.user_attrs.get(FINGERPRINT) in {None, *known})

    copy()
    optuna.delete_study(study_name="copy", storage=storage)
    optuna.create_study(storage=storage, study_name="copy")  # as if killed while it was copied
    copy()
    made = family_in("copy", "2", ["1"])
    copy()  # it is there
    made.reconcile(known, lambda _: 0.0)
    assert [made.propose(set(known)), made.propose(set(known))] == proposals[1:]
    assert made.study.get_trials()[0].value == 0.0
    assert original.study.get_trials() == before
    with pytest.raises(UserError, match="belongs to another campaign"):
        family_in("copy", "3", ["1"])


def test_a_study_names_its_objectives_and_the_campaign(tmp_path):
    two = ("maximize", "minimize")
    for about in ({"name": "mine", "seed": 0}, {"name": "mine", "seed": 0}, {"name": "moved"}):
        metrics = ("val/spearman", "val/noise/corr")
        study = open_study(open_storage(tmp_path, None), "baseline", "id", two, metrics=metrics, about=about)
    assert study.metric_names == ["val/spearman", "val/noise/corr"]
    assert study.user_attrs == {"campaign": "id", "name": "moved", "seed": 0}
