"""What the small preset learns, on real and on simulated data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import FitResult, fit
from nrtune.trainables.training.training_data import TrainingData


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(seed: int, **flat: object) -> TrialConfig:
    return TrialConfig.from_flat({**preset("small"), "seed": seed, **flat})


def real(folder) -> TrainingData:
    dataset = read_dataset(folder / "lentimpra" / "lentiMPRA_WTC11_activity_and_aleatoric_data.h5")
    return TrainingData(dataset, (read_cagi5(folder / "cagi5", cell_line="K562"),))


def _learned(result: FitResult) -> None:
    assert result.metrics["test/pearson"] >= 0.35
    assert result.metrics["test/spearman"] >= 0.22
    assert result.metrics["cagi5/challenge/spearman/all/mean"] > 0.03


@pytest.mark.slow
def test_the_baseline_learns_real_data(real_data):
    result = fit(small(0), real(real_data))
    _learned(result)
    # A constant predictor's noise correlation on this test split, as published.
    assert result.metrics["noise/corr_constant"] == pytest.approx(0.117, abs=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_learn_real_data_too(real_data, seed):
    _learned(fit(small(seed), real(real_data)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_labels_teach_nothing(real_data, seed):
    data = real(real_data)
    rows = data.dataset.rows("train")
    activity = data.dataset.activity.copy()
    activity[rows] = activity[np.random.default_rng(seed).permutation(rows)]
    shuffled = TrainingData(dataclasses.replace(data.dataset, activity=activity))
    assert abs(fit(small(seed), shuffled).metrics["test/spearman"]) <= 0.10


@pytest.mark.end_to_end
def test_predictions_are_nearer_to_the_truth_than_to_its_noisy_measurement():
    result = fit(small(0), TrainingData(simulate(3000).dataset))
    assert result.metrics["test/noise_free_spearman"] > result.metrics["test/spearman"] > 0.2
    assert result.metrics["test/noise_free_pearson"] > result.metrics["test/pearson"]
