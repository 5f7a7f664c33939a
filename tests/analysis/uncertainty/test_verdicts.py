"""What is claimed of campaigns whose truth is known; benchmarks/verdicts.py has the rates."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from in_process import run
from simulated_campaigns import Campaign, metrics_of
from simulated_world import SEQUENCES, Noise, World, layout, of_elements
from verdicts import NULL, changed_by_units, claims, null_claims, read_verdicts

from nrtune.analysis.uncertainty.compared import BETTER, NOT_TESTED, SAME
from nrtune.analysis.uncertainty.tested import OF_SEVERAL
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.evaluation.metrics import affine_fit, in_distribution, noise_metrics
from nrtune.trainables.evaluation.predictions import prefixed, variant_metrics

SILENT = Noise(by_training=0, by_training_and_element=0, of_configuration=0, of_training=0, on_sequences=0)


@pytest.fixture(scope="module")
def variants() -> VariantSet:
    """Two small elements: what resampling costs grows with the cube of the blocks."""
    return of_elements(layout(None), ("HBB", "HBG1"))


def world(variants: VariantSet, noise: Noise, **more: dict[int, float]) -> World:
    return World(variants, noise, 4, np.random.default_rng(1), **more)


def replicated(folder, of: World) -> Campaign:
    campaign = Campaign(folder, of)
    campaign.search(4, store=False)
    campaign.replicate([record.name for record in campaign.records], 3)
    return campaign


def test_metrics_are_those_of_a_trial(variants):
    of = world(variants, Noise())
    trained = of.train(np.array([0, 3]))
    found = metrics_of(of, trained)[1]
    expected = variant_metrics(of.variants, trained.effects[1])
    calibration = affine_fit(trained.val[1], of.activity[:SEQUENCES])
    for split, noise, rows, predicted in (
        ("val", "val/noise", slice(None, SEQUENCES), trained.val[1]),
        ("test", "noise", slice(SEQUENCES, None), trained.test[1]),
    ):
        activity = of.activity[rows]
        expected |= prefixed(split, in_distribution(predicted, activity))
        measured = noise_metrics(predicted, activity, of.aleatoric_std[rows], calibration=calibration)
        expected |= prefixed(noise, measured)
    assert found == pytest.approx({name: expected[name] for name in found})
    assert set(expected) - set(found) <= {
        name for name in expected if "/n/" in name or name.endswith("mse") or "noise" in name
    }


def test_no_single_training_is_claimed_to_be_anything(variants, tmp_path, monkeypatch, capsys):
    """Not even one that is better by far."""
    campaign = Campaign(tmp_path / "c", world(variants, Noise(), improvement={2: 0.5}))
    campaign.search(4)
    code, out, _ = run(monkeypatch, capsys, "best", campaign.folder, "--json")
    assert code == 0
    verdicts = {name: record["verdict"] for name, record in json.loads(out).items()}
    assert len(verdicts) >= 8
    assert verdicts["overall"]["winner"] == "TRIAL-002"
    for one in verdicts.values():
        assert one["against_baseline"].startswith(NOT_TESTED)
        assert one["against_non_neural"].startswith(NOT_TESTED)
        assert one["p"] is None
        assert one["recommended_trial"] is None
    assert claims(verdicts) == set()


def test_what_predicts_the_same_is_not_better(variants, tmp_path):
    """Nor is it undefined, though neither seeds nor variants tell anything apart."""
    verdicts = read_verdicts(replicated(tmp_path / "c", world(variants, SILENT)).folder)
    assert verdicts.pop("balance")["against_baseline"] == f"not tested: {OF_SEVERAL}"
    assert {one["against_baseline"] for one in verdicts.values()} == {SAME}
    assert all(one["improvement"] == 0 and one["recommended_trial"] == "BASE-000" for one in verdicts.values())
    assert claims(verdicts) == set()


def test_what_is_better_by_far_is_found(variants, tmp_path):
    verdicts = read_verdicts(replicated(tmp_path / "c", world(variants, Noise(), improvement={2: 0.8})).folder)
    overall = verdicts["overall"]
    assert (overall["winner"], overall["against_baseline"]) == ("TRIAL-002", BETTER)
    assert overall["recommended_trial"] == "TRIAL-002"
    assert overall["improvement"] > overall["minimum_detectable_improvement"]


def test_neither_scale_nor_offset_changes_a_verdict(variants):
    assert changed_by_units(variants, Noise(), 0) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_of_identical_configurations_none_is_better():
    """In 5 % of campaigns at most; more than 8 of 60 would happen once in 500 times."""
    found = null_claims(NULL[1], layout(None), Noise(), range(60))
    assert found["tested"] == 60
    assert found[BETTER] <= 8


@pytest.mark.slow
def test_seventy_five_single_trainings_are_not_tested():
    single = dataclasses.replace(Noise(), by_training=0.1)
    assert null_claims(NULL[0], layout(None), single, range(3)) == {"campaigns": 3}
