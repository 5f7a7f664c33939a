"""Books and winners, on tables small enough to see the answer."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from nrtune.analysis.selection.use_cases import USE_CASES, selection_metric
from nrtune.analysis.selection.winners import finalists, find_winner
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import FORMAT, TrialRecord
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.shape import DamagedWarning

REPORTED = "cagi5/challenge/spearman/all/mean"
SELECTED = "cagi5/release/spearman/all/mean"


def table(*rows: tuple[str, str, str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["name", "family", "status", SELECTED, REPORTED])


BASE = ("B", "baseline", "finished", 0.5, 0.1)


def test_the_winner_is_selected_on_release_and_reported_on_challenge():
    winner = find_winner(
        table(BASE, ("R1", "rs", "finished", 0.3, 0.2), ("R2", "rs", "finished", 0.2, 0.9)), "overall", "release"
    )
    assert winner.trial == "R1"
    assert winner.reported == {REPORTED: 0.2}
    assert winner.selected_by == 0.3
    assert (winner.baseline, winner.baseline_reported) == ("B", {REPORTED: 0.1})
    assert winner.candidates == 2


def test_the_studys_protocol_selects_on_what_it_reports():
    rows = table(BASE, ("R1", "rs", "finished", 0.3, 0.2), ("R2", "rs", "finished", 0.2, 0.9))
    assert find_winner(rows, "overall", "challenge").trial == "R2"


def test_pruned_and_failed_trials_are_no_candidates():
    rows = table(("R1", "rs", "finished", 0.1, 0.1), ("R2", "rs", "pruned", 0.9, 0.9), ("R3", "rs", "failed", 0.9, 0.9))
    assert find_winner(rows, "overall", "release").trial == "R1"


def test_a_trial_without_the_metric_is_counted_out():
    rows = table(("R1", "rs", "finished", 0.1, 0.1), ("R2", "rs", "finished", math.nan, 0.9))
    winner = find_winner(rows, "overall", "release")
    assert (winner.trial, winner.candidates, winner.without_metric) == ("R1", 1, 1)
    assert winner.baseline is None


def test_the_baseline_is_named_only_where_there_is_nothing_else():
    winner = find_winner(table(BASE), "overall", "release")
    assert winner.trial == "B"
    assert "only the baseline" in winner.note


def test_ties_fall_to_the_next_metric_then_to_the_earlier_trial():
    rows = table(
        ("R1", "rs", "finished", 0.3, 0.1), ("R2", "rs", "finished", 0.3, 0.2), ("R3", "rs", "finished", 0.3, 0.3)
    )
    assert find_winner(rows, "overall", "release").trial == "R1"
    tie = rows.assign(**{"cagi5/release/pearson/all/mean": [0.0, 0.1, 0.1]})
    assert find_winner(tie, "overall", "release").trial == "R2"


def test_smaller_is_better_for_noise_and_nearer_to_zero_for_the_gap():
    names = [
        "name",
        "family",
        "status",
        "noise/corr",
        "val/noise/corr",
        "cagi5/challenge/hc_lc_gap",
        "cagi5/release/hc_lc_gap",
    ]
    rows = pd.DataFrame(
        [("R1", "rs", "finished", -0.1, -0.2, 0.3, -0.3), ("R2", "rs", "finished", 0.1, 0.2, 0.1, 0.1)], columns=names
    )
    assert find_winner(rows, "noise_resistance", "release").trial == "R1"
    assert find_winner(rows, "hc_lc_gap", "release").trial == "R2"


def test_balance_is_the_mean_rank_over_its_metrics():
    """R2 is first in four metrics of six and last of two trials in two: mean rank (4·1 + 2·½)/6; R1 (2·1 + 4·½)/6."""
    metrics = list(USE_CASES["balance"].metrics)
    assert len(metrics) == 6
    rows = pd.DataFrame({"name": ["R1", "R2"], "family": "rs", "status": "finished"})
    for number, metric in enumerate(metrics):
        first, second = (0.1, 0.2) if number < 4 else (0.2, 0.1)
        if metric == "noise/corr_calibrated":  # small in size is good
            first, second = -0.1, -0.2
        rows[metric] = [first, second]
    winner = find_winner(rows, "balance", "challenge")
    assert winner.trial == "R2"
    assert winner.selected_by == pytest.approx((4 * 1 + 2 * 0.5) / 6)


def test_finalists_are_the_candidates_of_the_winner_in_its_order():
    rows = table(
        BASE,
        ("R1", "rs", "finished", 0.3, 0.9),
        ("R2", "rs", "finished", 0.4, 0.1),
        ("R3", "rs", "finished", 0.3, 0.2),
        ("R4", "rs", "pruned", 0.9, 0.9),
        ("R5", "rs", "finished", math.nan, 0.9),
        ("R6", "rs", "finished", 0.1, 0.1),
    )
    assert finalists(rows, "overall", "release", 3) == ["R2", "R1", "R3"]
    assert finalists(rows, "overall", "release", 9) == ["R2", "R1", "R3", "R6"]
    # a tie falls to the use case's next metric
    tie = rows.assign(**{"cagi5/release/pearson/all/mean": [0, 0, 0, 0.1, 0, 0, 0]})
    assert finalists(tie, "overall", "release", 3) == ["R2", "R3", "R1"]
    assert finalists(table(BASE), "overall", "release", 3) == ["B"]
    with pytest.raises(UserError, match="use case pearson: no finished trial has"):
        finalists(rows, "pearson", "release", 3)
    with pytest.raises(UserError, match="did you mean 'overall'"):
        finalists(rows, "overal", "release", 3)


def test_a_replicate_is_neither_finalist_nor_candidate():
    rows = table(BASE, ("R1", "rs", "finished", 0.3, 0.2), ("R1/s1", "rs", "finished", 0.9, 0.9), BASE)
    rows = rows.assign(replicate_of=[None, None, "R1", "B"])
    assert finalists(rows, "overall", "release", 5) == ["R1"]
    winner = find_winner(rows, "overall", "release")
    assert (winner.trial, winner.candidates, winner.without_metric) == ("R1", 1, 0)


def test_finalists_of_a_mean_rank():
    """Ranks among all that have the metrics, the baseline too, as in find_winner."""
    metrics = list(USE_CASES["balance"].metrics)
    rows = pd.DataFrame({"name": ["B", "R1", "R2"], "family": ["baseline", "rs", "rs"], "status": "finished"})
    for metric in metrics:
        rows[metric] = [0.3, 0.1, 0.2] if metric != "noise/corr" else [0.3, 0.2, 0.1]
    assert finalists(rows, "balance", "challenge", 5) == ["R2", "R1"]
    assert find_winner(rows, "balance", "challenge").trial == "R2"


@pytest.mark.parametrize(
    ("reported", "select_on", "expected"),
    [
        (REPORTED, "release", SELECTED),
        (REPORTED, "val", "val/spearman"),
        (REPORTED, "challenge", REPORTED),
        ("cagi5/challenge/pearson/all/mean", "val", "val/pearson"),
        ("test/spearman", "release", "val/spearman"),
        ("noise/corr", "val", "val/noise/corr"),
    ],
)
def test_selection_metrics(reported, select_on, expected):
    assert selection_metric(reported, select_on) == expected


@pytest.mark.parametrize("use_case", USE_CASES)
@pytest.mark.parametrize("select_on", ["release", "val"])
def test_selection_never_sees_what_is_reported(use_case, select_on):
    if (use_case, select_on) == ("hc_lc_gap", "val"):
        with pytest.raises(UserError, match="no counterpart in validation data"):
            USE_CASES[use_case].selection(select_on)
        return
    for metric in USE_CASES[use_case].selection(select_on):
        assert not metric.startswith(("test/", "noise/", "cagi5/challenge/"))


def test_unknown_questions_and_empty_tables():
    with pytest.raises(UserError, match="did you mean 'overall'"):
        find_winner(table(BASE), "overal", "release")
    with pytest.raises(UserError, match=f"no finished trial has {SELECTED}"):
        find_winner(table(), "overall", "release")


def record(name: str, **fields: object) -> TrialRecord:
    base = dict.fromkeys(("started", "ended"), "2026-01-01T00:00:00+00:00")
    given = {"family": "rank_stability", "number": 0, "fingerprint": name, "status": "finished", "config": {"loss.k": 1.0},
             "metrics": {REPORTED: 0.1, SELECTED: 0.2}, "epochs_trained": 4, "seconds": 1.0}  # fmt: skip
    return TrialRecord.from_flat(name=name, **{**base, **given, **fields})


def write_campaign(folder, *records, tail=""):
    folder.mkdir(exist_ok=True)
    (folder / "campaign.json").write_text(json.dumps({"format": FORMAT, "identity": {"select_on": "release"}}))
    (folder / "trials.jsonl").write_text("".join(r.to_line() + "\n" for r in records) + tail)
    return folder


def test_a_campaign_is_read_back(tmp_path):
    written = [
        record("A", config={"loss.k": 1.0}),
        record("B", config={"loss.lambda_var": 2.0}, metrics={SELECTED: 0.1}),
    ]
    campaign = open_campaign(write_campaign(tmp_path / "c", *written))
    assert campaign.records() == written
    trials = campaign.trials()
    assert trials["name"].tolist() == ["A", "B"]
    assert trials["loss.k"].tolist()[0] == 1.0
    assert math.isnan(trials["loss.k"].tolist()[1])
    assert Comparisons(campaign).find("overall").name == "A"
    assert Comparisons(campaign).find("overall").checkpoint is None
    kept = tmp_path / "c" / "trials" / "A" / "best.pt"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert Comparisons(campaign).find("overall").checkpoint == kept


def test_a_line_cut_short_by_a_crash_does_not_count(tmp_path):
    campaign = open_campaign(write_campaign(tmp_path / "c", record("A"), tail=record("B").to_line()[:50]))
    assert [r.name for r in campaign.records()] == ["A"]


def test_damage_is_said(tmp_path):
    folder = write_campaign(tmp_path / "c", record("A"), tail="{broken}\n")
    with pytest.warns(DamagedWarning, match="line 2 is damaged"):
        assert list(open_campaign(folder).trials()["name"]) == ["A"]
    with pytest.raises(UserError, match="no such campaign folder"):
        open_campaign(tmp_path / "none")
    with pytest.raises(UserError, match="holds no campaign"):
        open_campaign(tmp_path)


def test_a_campaign_without_trials_has_an_empty_table(tmp_path):
    assert open_campaign(write_campaign(tmp_path / "c")).trials().empty
