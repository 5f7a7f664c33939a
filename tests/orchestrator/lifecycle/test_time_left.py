"""How long is left, by records that trials make as they end; what is best so far; and who shows it."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from in_process import run

from nrtune.analysis.store.records import FAILED, FINISHED, PRUNED, STATUS, Proposal, TrialRecord
from nrtune.orchestrator.lifecycle.faults import DIVERGED, Failure
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.plain_console import PlainConsole
from nrtune.orchestrator.lifecycle.progress import Progress
from nrtune.orchestrator.lifecycle.retries import Attempt
from nrtune.orchestrator.lifecycle.status_file import StatusFile
from nrtune.orchestrator.lifecycle.time_left import CONFIRMING, TimeLeft, Underway, duration, pace, seconds_of
from nrtune.orchestrator.lifecycle.trial import LiveTrial
from nrtune.orchestrator.state.ledger import open_ledger


def live(name: str, family: str = "rank_stability", *, of: str | None = None) -> LiveTrial:
    return LiveTrial(Proposal(name, family, 0, {"epochs": 4, "lr": 0.01}, f"f-{name}", None, {}, of))


def ended(trial: LiveTrial, seconds: float, status: str = FINISHED, val: float = 0.5) -> TrialRecord:
    """The record of a trial of four epochs, or of one where it was stopped or failed, that took so long."""
    epochs = 4 if status == FINISHED else 1
    history = tuple({"epoch": n + 1, "val/spearman": val, "seconds": seconds / epochs} for n in range(epochs))
    trial.begin({"cpu": 1}, shares=False)
    final = status == FINISHED
    trial.hear(EpochEnded(curve=(val,) * epochs, history=history, metrics={"val/spearman": val}, final=final, pid=1))
    if status == FAILED:
        trial.fail(Failure(DIVERGED, "the loss is not finite"))
    return trial.record(status, Attempt(), history)


def test_trials_to_come_are_expected_to_be_like_those_that_ended():
    left = TimeLeft({"rank_stability": 5})
    assert left.seconds([], 1) is None
    left.add(ended(live("RS-001"), 10))
    assert left.seconds([], 1) == pytest.approx(40)
    assert left.seconds([], 2) == pytest.approx(20)
    # Stopped early and failed: a mean of (10 + 4 + 1) / 3, of which two are left.
    left.add(ended(live("RS-002"), 4, PRUNED))
    left.add(ended(live("RS-003"), 1, FAILED))
    assert left.seconds([], 1) == pytest.approx(2 * 5)


def test_what_running_trials_have_done_is_taken_off_and_the_last_one_is_waited_for():
    left = TimeLeft({"rank_stability": 3}, [ended(live("RS-001"), 10)])
    assert left.seconds([Underway("rank_stability", 6.0)], 1) == pytest.approx(20 - 6)
    assert left.seconds([Underway("rank_stability", 1.0), Underway("rank_stability", 9.0)], 2) == pytest.approx(9)
    # One that takes longer than the mean has no negative time left.
    assert left.seconds([Underway("rank_stability", 60.0)] * 2, 2) == 0


def test_each_family_has_its_own_mean_and_a_new_one_that_of_all():
    wanted = {"baseline": 2, "contrastive": 2, "curriculum": 1}
    left = TimeLeft(wanted, [ended(live("B", "baseline"), 2), ended(live("C", "contrastive"), 8)])
    assert left.seconds([], 1) == pytest.approx(2 + 8 + 5)


def test_what_one_family_has_beyond_its_number_others_lack():
    wanted = {"baseline": 2, "contrastive": 2}
    left = TimeLeft(wanted, [ended(live(f"B{n}", "baseline"), 2) for n in range(3)])
    assert left.left() == {"baseline": 0, "contrastive": 1}
    left.add(ended(live("B3", "baseline"), 2))
    assert left.seconds([], 4) == 0


def test_trainings_that_confirm_are_expected_to_be_trained_to_their_end():
    left = TimeLeft({"rank_stability": 2, CONFIRMING: 3}, [ended(live("RS-001"), 10), ended(live("RS-002"), 2, PRUNED)])
    assert left.seconds([], 1) == pytest.approx(3 * 10)
    left.add(ended(live("RS-001/s1", of="RS-001"), 4))
    assert left.seconds([], 1) == pytest.approx(2 * 4)


def test_an_interrupted_trial_took_all_its_epochs():
    record = ended(live("RS-001"), 500.0)  # its last attempt took no second
    assert seconds_of(record) == 500.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (9000, "2.5 h")]
)
def test_durations_in_words(seconds: float, text: str):
    assert duration(seconds) == text


def test_pace_leaves_out_what_is_not_known():
    assert pace(30, None, None) == "30 s elapsed"
    assert pace(30, 60, 120.4) == "30 s elapsed, about 60 s left, 120 trials/h"


def shown(monkeypatch: pytest.MonkeyPatch, records: list[TrialRecord], **options: float) -> list[str]:
    """The lines that a file gets of a search whose trials end so."""
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    with Progress({"baseline": 1, "rank_stability": 4}, [], quiet=600, **options) as progress:
        progress.compare_to({"constant": {}, "spectrum_ridge": {"val/spearman": 0.41}})
        for record in records:
            progress.ended(record, [])
    return file.getvalue().splitlines()


def test_a_file_is_told_of_the_best_so_far_and_of_failures_as_they_happen(monkeypatch):
    records = [
        ended(live("BASE-001", "baseline"), 10, val=0.5),
        ended(live("RS-001"), 10, val=0.6),
        ended(live("RS-002"), 10, FAILED),
        ended(live("RS-003"), 10, val=0.55),
    ]
    lines = shown(monkeypatch, records)
    assert lines[1] == "best so far: BASE-001 (the baseline), validation Spearman 0.500 (ridge 0.410)"
    assert re.fullmatch(r"1 of 5 ended, 1 s elapsed, about \d+ s left, \d+ trials/h", lines[2])
    assert lines[4] == "best so far: RS-001, validation Spearman 0.600 (baseline 0.500, ridge 0.410)"
    assert lines[5] == "[3/5] RS-002 failed (diverged: the loss is not finite)"
    assert sum(line.startswith("best so far") for line in lines) == 2
    assert max(map(len, lines)) <= 80


def test_a_time_budget_is_the_most_that_is_left(monkeypatch):
    lines = shown(monkeypatch, [ended(live("RS-001"), 3600)], time_budget=1)
    assert "about 60 s left" in lines[2]


def test_status_tells_what_the_search_wrote(tmp_path: Path, monkeypatch, capsys):
    folder = tmp_path / "campaign"
    ledger = open_ledger(folder, "c", {"select_on": "val", "command": "search"}, {}, must_exist=False)
    file = StatusFile(ledger, "search", {"baseline": 1, "rank_stability": 3}, lambda: 600.0)
    for trial, val in ((live("BASE-001", "baseline"), 0.5), (live("RS-001"), 0.6)):
        ledger.append(ended(trial, 10, val=val))
    file.started(live("RS-002"))
    file.write("running")
    code, out, _ = run(monkeypatch, capsys, "status", folder, "--format", "json")
    told = json.loads(out)
    assert (code, told["state"], told["best"]) == (0, "running", {"trial": "RS-001", "value": 0.6})
    assert told["baseline"] == {"trial": "BASE-001", "value": 0.5}
    assert 500 < told["left"] <= 600
    assert [(row["family"], row["wanted"], row["finished"], row["best"]) for row in told["families"]] == [
        ("baseline", 1, 1, 0.5),
        ("rank_stability", 3, 1, 0.6),
    ]
    _, text, _ = run(monkeypatch, capsys, "status", folder)
    assert re.search(r"elapsed, about \d+ min left, \d+ trials/h", text)
    assert "best so far: RS-001, validation Spearman 0.600 (baseline 0.500)" in text
    assert "running RS-002: epoch 0 of 4" in text
    file.write("finished")
    ledger.close()
    told = json.loads(run(monkeypatch, capsys, "status", folder, "--json")[1])
    assert (told["state"], told["left"], told["running"]) == ("finished", None, [])
    assert told["elapsed"] >= 0
    assert "started" in json.loads((folder / STATUS).read_text())


@pytest.mark.parametrize("width", [80, 60])
def test_a_drawn_table_fits_and_cuts_no_name(width: int, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    progress = Progress({"baseline": 2, "quantile_sampling": 3, CONFIRMING: 6}, [])
    progress.compare_to({"spectrum_ridge": {"val/spearman": 0.41}})
    progress.ended(ended(live("BASE-001", "baseline"), 20), [])
    progress.started(live("QS-001", "quantile_sampling"))
    progress.console = PlainConsole(width=width, file=(file := io.StringIO()))
    progress.console.print(progress._view())
    shown = file.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    for word in ("quantile_sampling", CONFIRMING, "QS-001: 0/4", "best so far: BASE-001", "left"):
        assert word in shown
