"""The Pareto front: against its definition written out, and what is left out of it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from nrtune.analysis.selection.pareto import (
    Objective,
    default_objectives,
    dominated,
    objectives_of,
    pareto_front,
    parse_objectives,
)
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.store.table import table_of
from nrtune.trainables.core.errors import UserError

A, B = "cagi5/release/spearman/all/mean", "val/noise/corr"
OBJECTIVES = (Objective(A, "max"), Objective(B, "min"))


def record(name, metrics, **fields):
    given = {"family": "rank_stability", "number": 0, "status": "finished", "config": {"lr": 0.1}, "epochs_trained": 1,
             "seconds": 1.0, "started": "", "ended": ""}  # fmt: skip
    return TrialRecord.from_flat(name=name, fingerprint=name, metrics=metrics, **{**given, **fields})


def table(points, **fields):
    return table_of(
        [record(f"T{n}", dict(zip((A, B), point, strict=True)), **fields) for n, point in enumerate(points)]
    )


def literal_front(points, directions):
    """Who is beaten by nobody: looked at pair by pair, objective by objective."""
    kept = []
    for i, mine in enumerate(points):
        beaten = False
        for other in points:
            as_good = better = 0
            for m, o, direction in zip(mine, other, directions, strict=True):
                as_good += o >= m if direction == "max" else o <= m
                better += o > m if direction == "max" else o < m
            beaten = beaten or (as_good == len(directions) and better > 0)
        if not beaten:
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("directions", [("max", "min"), ("min",), ("max", "max", "min")])
def test_the_front_is_its_definition(seed, directions):
    """Values of few decimals, so that there are ties and trials that are alike."""
    points = np.random.default_rng(seed).uniform(size=(60, len(directions))).round(1)
    names = [f"val/m{number}" for number in range(len(directions))]
    trials = table_of([record(f"T{n}", dict(zip(names, map(float, p), strict=True))) for n, p in enumerate(points)])
    front = pareto_front(trials, [Objective(name, way) for name, way in zip(names, directions, strict=True)])
    expected = [f"T{number}" for number in literal_front(points, directions)]
    assert set(front.trials["name"]) == set(expected)
    assert len(front.trials) == len(expected)
    assert front.candidates == 60
    signed = front.trials[names[0]] * (1 if directions[0] == "max" else -1)
    assert signed.is_monotonic_decreasing


def test_points_that_are_alike_do_not_dominate_each_other():
    assert dominated([[1, 2], [1, 2], [1, 1], [0, 3]]).tolist() == [False, False, True, False]
    assert dominated(np.empty((0, 2))).tolist() == []
    assert dominated([[1, math.nan], [2, 3]]).tolist() == [False, False]


def test_what_did_not_finish_or_lacks_a_metric_is_left_out_and_the_latter_said():
    trials = pd.concat(
        [
            table([(0.5, 0.1), (0.4, 0.2)]),
            table_of([record("half", {A: 0.9})]),
            table_of([record("pruned", {A: 0.99, B: -1.0}, status="pruned"), record("failed", {}, status="failed")]),
            table_of([record("scored", {A: 0.1, B: -0.5}, status="scored", aliases={"again": "baseline"})]),
        ],
        ignore_index=True,
    )
    front = pareto_front(trials, OBJECTIVES)
    assert list(front.trials["name"]) == ["T0", "scored"]  # by its first name alone
    assert front.without_metric == ("half",)
    assert front.candidates == 3


def test_replicated_trials_compete_alone_by_their_means():
    lucky = record("lucky", {A: 0.9, B: 0.0})
    solid = record("solid", {A: 0.3, B: 0.5})
    seeds = [record(f"solid/s{n}", {A: 0.4 + n, B: 0.1 * n}, replicate_of="solid") for n in range(3)]
    front = pareto_front(table_of([lucky, solid, *seeds]), OBJECTIVES)
    assert list(front.trials["name"]) == ["solid"]
    assert front.trials[A].iloc[0] == pytest.approx(1.4)
    assert front.trials["replicates"].tolist() == [3]
    assert front.unreplicated == ("lucky",)
    twice = pareto_front(table_of([lucky, solid, *seeds[:2]]), OBJECTIVES)
    assert (list(twice.trials["name"]), twice.unreplicated) == (["lucky"], ())


def test_a_front_of_nothing_is_said():
    with pytest.raises(UserError, match=r"no finished trial has val/spearmen; did you mean 'val/spearman'\?"):
        pareto_front(table_of([record("a", {"val/spearman": 0.1})]), [Objective("val/spearmen", "max")])
    with pytest.raises(UserError, match="no finished trial has"):
        pareto_front(table_of([]), OBJECTIVES)
    with pytest.raises(UserError, match="no finished trial has all of"):
        pareto_front(table_of([record("a", {A: 0.1}), record("b", {B: 0.1})]), OBJECTIVES)
    with pytest.raises(UserError, match="needs an objective"):
        pareto_front(table([(0.1, 0.1)]), [])


def test_objectives_are_read():
    assert parse_objectives([f"{A}:max", f" {B}:min "], "--objective") == OBJECTIVES
    assert list(map(str, OBJECTIVES)) == [f"{A}:max", f"{B}:min"]
    for text in ("val/spearman", "val/spearman:up", ":max", ""):
        with pytest.raises(
            UserError, match=r"--objective.*: give METRIC:max or METRIC:min, such as val/noise/corr:min"
        ):
            parse_objectives([text], "--objective")
    with pytest.raises(UserError, match="is named twice"):
        parse_objectives([f"{A}:max", f"{A}:min"], "--objective")
    assert objectives_of((), "release") == default_objectives("release") == (Objective(A, "max"),)
    assert objectives_of((f"{B}:min",), "release") == (Objective(B, "min"),)


@pytest.mark.parametrize(
    ("metric", "reported"),
    [
        (A, "cagi5/challenge/spearman/all/mean"),
        (B, "noise/corr"),
        ("val/spearman", "test/spearman"),
        ("test/mse", "test/mse"),
        ("noise/gap", "noise/gap"),
        ("cagi5/challenge/hc_lc_gap", "cagi5/challenge/hc_lc_gap"),
    ],
)
def test_what_an_objective_is_called_on_data_that_no_search_sees(metric, reported):
    assert Objective(metric, "max").reported == reported
