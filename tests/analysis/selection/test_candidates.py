"""What a winner is picked from, on tables small enough to see the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pytest
from trial_records import record

from nrtune.analysis.selection.candidates import configurations, field_of
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, fitted
from nrtune.analysis.selection.winners import finalists, find_winner
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.store.table import table_of
from nrtune.trainables.core.errors import UserError

REPORTED, SELECTED = "cagi5/challenge/spearman/all/mean", "cagi5/release/spearman/all/mean"


def trial(name: str, value: float, seed: int = 0, loss: str = "", **fields: object) -> TrialRecord:
    """A trial of this value at the overall use case, whatever data it is of; its loss is its own unless given."""
    metrics = {} if math.isnan(value) else {SELECTED: value, REPORTED: value}
    given = {"name": name, "family": "baseline" if name.startswith("B") else "rs", "metrics": metrics,
             "config": {"seed": seed, "loss": loss or name}}  # fmt: skip
    return record(name, **given | fields)


def again(of: str, *values: float, status: Mapping[int, str] | None = None) -> list[TrialRecord]:
    """Trainings of a configuration with the seeds 1, 2 and so on."""
    return [trial(f"{of}/s{seed}", value, seed, of, replicate_of=of, status=(status or {}).get(seed, "finished"))
            for seed, value in enumerate(values, start=1)]  # fmt: skip


def test_published_seeds_of_a_configuration_are_one_candidate():
    trials = table_of([trial("B", 0.2), trial("R1", 0.5, 0, "rank"), trial("R2", 0.1, 1, "rank"), trial("R3", 0.4)])
    winner = find_winner(trials, "overall", "release")
    assert (winner.trial, winner.candidates) == ("R3", 2)
    rows = configurations(trials).set_index("name")
    assert rows.loc["R1", ["trainings", "replicates", "fresh"]].tolist() == [("R1", "R2"), 2, 0]
    assert rows.loc["R1", REPORTED] == pytest.approx(0.3)
    assert rows.loc["R3", ["trainings", "replicates"]].tolist() == [("R3",), 0]
    # The study's protocol takes each training for itself.
    assert find_winner(trials, "overall", "challenge").trial == "R1"


def test_the_same_configuration_and_seed_twice_is_no_second_seed():
    trials = table_of([trial("R1", 0.5, 0, "rank"), trial("R2", 0.1, 0, "rank")])
    assert configurations(trials)["trainings"].tolist() == [("R1",), ("R2",)]


def test_finalists_with_fresh_seeds_compete_alone_by_them():
    records = [trial("B", 0.2), trial("lucky", 0.9), trial("solid", 0.6), trial("third", 0.5), trial("last", 0.1)]
    records += [*again("B", 0.2, 0.2, 0.2), *again("lucky", 0.3, 0.3, 0.3), *again("solid", 0.5, 0.6, 0.7)]
    records += again("third", 0.9, 0.9)  # with too few to be compared
    field = field_of(table_of(records), "overall", "release")
    assert field.confirmed
    assert field.candidates["name"].tolist() == ["lucky", "solid"]
    winner = find_winner(table_of(records), "overall", "release")
    assert (winner.trial, winner.replicates, winner.confirmed) == ("solid", 3, True)
    assert winner.trainings == ("solid/s1", "solid/s2", "solid/s3")
    assert winner.reported[REPORTED] == pytest.approx(0.6)


def test_replicates_for_another_use_case_are_left_aside():
    records = [trial("B", 0.2), trial("best", 0.9), trial("other", 0.6), *again("B", 0.2, 0.2, 0.2)]
    records += again("other", 0.7, 0.7, 0.7)
    winner = find_winner(table_of(records), "overall", "release")
    assert (winner.trial, winner.candidates, winner.confirmed) == ("best", 2, False)
    assert (winner.baseline, winner.replicates, winner.trainings) == ("B", 0, ("best",))
    # The best of the search fell out after a round: others of this use case have seeds enough.
    assert find_winner(table_of([*records, *again("best", 0.1)]), "overall", "release").trial == "other"


def test_a_mean_is_undefined_where_a_training_is():
    records = [
        trial("B", 0.2),
        trial("R", 0.9),
        trial("S", 0.8),
        *again("R", 0.9, 0.9, math.nan),
        *again("S", *[0.5] * 3),
    ]
    winner = find_winner(table_of(records), "overall", "release")
    assert (winner.trial, winner.without_metric) == ("S", 1)


def test_trainings_that_failed_are_counted():
    records = [trial("R", 0.9), *again("R", 0.8, 0.8, 0.8, math.nan, status={4: "failed"})]
    winner = find_winner(table_of(records), "overall", "release")
    assert (winner.replicates, winner.failed) == (3, 1)


FLOORED = {"overall": UseCase(title="Floored", metrics={REPORTED: "max"}, floor="test/spearman")}


def floored(name: str, value: float, at_floor: float, **fields: object) -> TrialRecord:
    of = trial(name, value, **fields)
    of.metrics.update({"val/spearman": at_floor})
    return of


def test_who_is_below_the_baseline_at_the_floor_does_not_win():
    """Nor is such a one a finalist, whatever is trained again."""
    records = [floored("B", 0.2, 0.5), floored("B2", 0.3, 0.1), floored("bad", 0.9, 0.4), floored("fair", 0.5, 0.6)]
    winner = find_winner(table_of(records), "overall", "release", FLOORED)
    assert (winner.trial, winner.candidates, winner.barred) == ("fair", 1, ("bad",))
    assert finalists(table_of(records), "overall", "release", 5, FLOORED) == ["fair"]
    assert (
        find_winner(table_of(records), "overall", "challenge", FLOORED).trial == "bad"
    )  # the study's protocol has none
    with pytest.raises(UserError, match="no finished trial has its floor val/spearman"):
        find_winner(table_of([trial("B", 0.1), trial("R", 0.2)]), "overall", "release", FLOORED)


def test_seeds_explain_a_little_below_the_floor():
    again = [
        floored(f"B/s{seed}", 0.2, at, seed=seed, loss="B", replicate_of="B")
        for seed, at in ((1, 0.4), (2, 0.5), (3, 0.6))
    ]
    records = [floored("B", 0.2, 0.5), floored("near", 0.9, 0.4), floored("far", 0.95, 0.1), *again]
    winner = find_winner(table_of(records), "overall", "release", FLOORED)
    assert (winner.trial, winner.barred) == ("near", ("far",))


def test_seeds_of_a_finalist_change_nobody_who_was_barred_from_the_search():
    """Its own seeds scatter so widely that "far" would be within two standard errors of the baseline, and would lead."""
    of_baseline = [floored(f"B/s{seed}", 0.2, at, seed=seed, loss="B", replicate_of="B")
                   for seed, at in ((1, 0.49), (2, 0.5), (3, 0.51))]  # fmt: skip
    records = [floored("B", 0.2, 0.5), floored("far", 0.95, 0.3), floored("fair", 0.9, 0.6), *of_baseline]
    assert finalists(table_of(records), "overall", "release", 5, FLOORED) == ["fair"]
    records += [floored(f"fair/s{seed}", 0.8, at, seed=seed, loss="fair", replicate_of="fair")
                for seed, at in ((1, 0.3), (2, 0.6), (3, 0.9))]  # fmt: skip
    assert finalists(table_of(records), "overall", "release", 5, FLOORED) == ["fair"]
    winner = find_winner(table_of(records), "overall", "release", FLOORED)
    assert (winner.trial, winner.confirmed) == ("fair", True)


def test_where_all_are_below_the_floor_the_baseline_is_left():
    records = [floored("B", 0.2, 0.5), floored("bad", 0.9, 0.4)]
    winner = find_winner(table_of(records), "overall", "release", FLOORED)
    assert (winner.trial, winner.barred) == ("B", ("bad",))
    assert winner.note == "all other candidates are below the baseline in val/spearman"


def test_a_better_baseline_that_was_not_trained_again_is_named():
    records = [trial("B1", 0.2, loss="b"), trial("B2", 0.4, loss="c"), trial("R", 0.9)]
    again_of = [trial(f"{name}/s{seed}", value, seed, loss, replicate_of=name) for seed in (1, 2, 3)
                for name, value, loss in (("B1", 0.2, "b"), ("R", 0.8, "R"))]  # fmt: skip
    winner = find_winner(table_of([*records, *again_of]), "overall", "release")
    assert (winner.trial, winner.baseline, winner.better_baseline) == ("R", "B1", "B2")
    assert find_winner(table_of(records), "overall", "release").better_baseline is None


def test_trials_without_the_calibrated_noise_correlation_go_by_the_raw_one():
    raw, calibrated = "noise/corr", "noise/corr_calibrated"
    rule = USE_CASES["balance"]
    old = fitted(rule, pd.DataFrame({raw: [0.1]}))
    assert set(rule.metrics) - set(old.metrics) == {calibrated}
    assert (raw in old.metrics, old.magnitude) == (True, frozenset({raw}))
    assert fitted(rule, pd.DataFrame({raw: [0.1], calibrated: [0.1]})) is rule
    assert fitted(USE_CASES["overall"], pd.DataFrame({raw: [0.1]})) is USE_CASES["overall"]
