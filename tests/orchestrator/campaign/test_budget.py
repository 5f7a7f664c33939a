"""What a search says of a budget that is too small for its sampler, or for early stopping."""

from __future__ import annotations

import pytest

from nrtune.orchestrator.campaign.budget import most_trials, sampler_note, stopping_note
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.lifecycle.rules import EarlyStopping
from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.trainables.data.simulate import HDF5_NAME

POINTS = {"baseline": 1, "rank_stability": 5, "distributional": 5}
STOPPING = EarlyStopping(2, 3)


def settings(**fields: object) -> Settings:
    return Settings(**{"families": tuple(POINTS), "allocation": "even", **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trials": 10}, None),
        ({"trials": 4, "sampler": "random"}, None),
        ({"trials": 4, "sampler": "grid"}, None),
        ({"trials": 11, "sampler": "nsga2"}, None),
        (
            {"trials": 5},
            "--trials 5 is too few for TPE to begin: all trials are starting points and random ones; give more --trials: it"
            " proposes from trial 6 of baseline, 10 of rank_stability and distributional on",
        ),
        (
            {"trials": 9},
            "--trials 9 is too few for TPE to begin in rank_stability and distributional: all their trials are starting points"
            " and random ones; give more --trials: it proposes from trial 10 of rank_stability and distributional on",
        ),
        (
            {"trials": 1},
            "--trials 1 is too few for TPE to begin: all trials are starting points; give more --trials: it proposes from trial"
            " 6 of baseline, 10 of rank_stability and distributional on",
        ),
        (
            {"trials": 10, "sampler": "nsga2"},
            "--trials 10 is too few for NSGA-II to begin: all trials are starting points and random ones; give more --trials: it"
            " proposes from trial 11 of baseline, rank_stability and distributional on, finished ones alone counting",
        ),
        ({"trials": 5, "allocation": "adaptive"}, None),  # one family may get 9, but not 10: see below
    ],
)  # fmt: skip
def test_a_search_too_small_for_its_sampler_says_so(fields, said):
    found = sampler_note(settings(**fields), POINTS)
    if fields.get("allocation") == "adaptive":
        assert found is not None
        assert found.startswith(
            "--trials 5 (adaptive: at most 9 of a family) is too few for TPE to begin in rank_stability"
        )
    else:
        assert found == said


def test_adaptive_allocation_leaves_the_others_their_minimum():
    assert most_trials(settings(trials=10)) == 10
    assert most_trials(settings(trials=10, allocation="adaptive", min_trials=3)) == 30 - 2 * 3
    assert most_trials(settings(trials=2, allocation="adaptive", min_trials=3)) == 2


@pytest.mark.parametrize(
    ("fields", "epochs", "stopping", "said"),
    [
        ({}, 4, STOPPING, None),
        (
            {},
            2,
            STOPPING,
            "--scheduler asha stops no trial: a training has 2 epochs, and each gets 2 at least (grace_epochs)",
        ),
        ({"trials": 5}, 4, STOPPING, None),  # the baseline has one starting point
        (
            {"trials": 1},
            4,
            STOPPING,
            "--scheduler asha stops no trial: all are starting points, which are never stopped; give more --trials",
        ),
        ({"trials": 2, "families": ("baseline",)}, 4, STOPPING, None),
        (
            {"trials": 3, "families": ("baseline",)},
            4,
            EarlyStopping(2, 3, "median"),
            "--scheduler median stops no trial: it compares each to 3 others or more, and there are 3 in all",
        ),
    ],
)
def test_early_stopping_that_stops_nobody_is_said(fields, epochs, stopping, said):
    chosen = settings(**fields)
    points = {name: POINTS[name] for name in chosen.families}
    assert stopping_note(chosen, epochs, stopping, points) == said


def test_both_are_said_before_training(simulated_folder, tmp_path):
    given = {
        "data": simulated_folder / HDF5_NAME,
        "cagi5": simulated_folder / "cagi5",
        "out": tmp_path / "out",
        "confirm": 0,
        "allocation": "even",
    }
    small = prepare(load_settings(None, {**given, "families": ("baseline", "rank_stability"), "trials": 5}, Settings))
    assert small.notes()[-1] == sampler_note(small.settings, {"rank_stability": 3, "baseline": 1})
    short = prepare(load_settings(None, {**given, "families": ("baseline",), "epochs": 1}, Settings))
    assert short.notes()[-1] == stopping_note(short.settings, 1, EarlyStopping(2, 3), {"baseline": 1})
    enough = prepare(load_settings(None, {**given, "families": ("baseline",)}, Settings))
    assert not any("--trials" in note or "--scheduler" in note for note in enough.notes())
