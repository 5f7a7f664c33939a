"""Non-neural baselines: the constant's metrics by hand, every one scored as a trial is, and their numbers on real data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from random_data import random_dataset

from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.evaluation.reference_lines import REFERENCES, score_reference
from nrtune.trainables.training.training_data import TrainingData


def test_constant_is_the_mean_training_activity(simulated_data):
    """Its error is the variance, and the square of how far the training mean is from the test mean."""
    dataset, benchmarks, _ = simulated_data
    found = score_reference("constant", dataset, benchmarks)
    train, test = (dataset.activity[dataset.rows(split)].astype(float) for split in ("train", "test"))
    metrics = found.defined()
    assert metrics["test/mse"] == pytest.approx(test.var() + (train.mean() - test.mean()) ** 2)
    assert (found.test["prediction"] == np.float32(train.mean())).all()
    assert (found.effects["cagi5"]["variant_effect"] == 0).all()
    correlations = {name: value for name, value in metrics.items() if "spearman" in name or "pearson" in name}
    assert {name.rpartition("/")[2] for name in correlations} == {
        "mean"
    }  # of no element is it defined, and it counts as 0
    assert set(correlations.values()) == {0}
    assert not any("gap" in name for name in metrics)
    assert (
        metrics["cagi5/challenge/n/all/SIM1"]
        == (found.effects["cagi5"].query("part == 'challenge'")["element"] == "SIM1").sum()
    )


def test_noise_correlation_of_a_constant_is_the_one_beside_every_trial():
    """Which is that of the mean test activity: the splits' means are made the same."""
    dataset = random_dataset(200, 20)
    activity = dataset.activity.copy()
    for split in ("train", "val", "test"):
        activity[dataset.rows(split)] -= activity[dataset.rows(split)].mean()
    metrics = score_reference("constant", dataclasses.replace(dataset, activity=activity)).metrics
    assert metrics["noise/corr"] == pytest.approx(metrics["noise/corr_constant"], abs=1e-6)
    assert metrics["noise/corr_calibrated"] == pytest.approx(metrics["noise/corr_constant"], abs=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_scores_as_a_trial_does(name, simulated_data: TrainingData):
    found, again = (score_reference(name, simulated_data.dataset, simulated_data.benchmarks) for _ in range(2))
    assert found.defined() == again.defined()
    assert set(found.defined()) <= set(found.metrics)
    assert {"test/mse", "noise/corr", "test/noise_free_spearman", "cagi5/release/hc_lc_gap"} <= set(found.metrics)
    assert list(found.test) == ["row", "activity", "prediction", "calibrated_prediction", "cluster", "aleatoric_std",
                                "noise_free"]  # fmt: skip
    effect = found.effects["cagi5"]["alt_prediction"] - found.effects["cagi5"]["ref_prediction"]
    assert (found.effects["cagi5"]["variant_effect"] == effect).all()
    assert len(found.effects["cagi5"]) == len(simulated_data.benchmark("cagi5"))


@pytest.mark.end_to_end
def test_real_data(real_data: Path):
    """The WTC11 file: the figures were measured when this was written."""
    dataset = read_dataset(real_data / "lentimpra" / "lentiMPRA_WTC11_activity_and_aleatoric_data.h5")
    variants = read_cagi5(real_data / "cagi5")
    ridge = score_reference("spectrum_ridge", dataset, (variants,)).metrics
    assert ridge["val/spearman"] == pytest.approx(0.519, abs=0.001)
    assert ridge["test/spearman"] == pytest.approx(0.436, abs=0.001)
    assert ridge["test/pearson"] == pytest.approx(0.563, abs=0.001)
    assert ridge["cagi5/challenge/spearman/all/mean"] == pytest.approx(0.214, abs=0.001)
    constant = score_reference("constant", dataset, (variants,)).metrics
    assert constant["noise/corr_constant"] == pytest.approx(0.117, abs=0.001)
    # The mean of the training rows is not quite that of the test rows, which corr_constant takes.
    assert constant["noise/corr"] == pytest.approx(0.1156, abs=0.001)
