"""Scoring of hand-made models whose right answer can be worked out."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.simulate import simulate, write_simulated
from nrtune.trainables.evaluation.scoring import predict, score, variant_effects, variant_metrics
from nrtune.trainables.models.prediction import Prediction
from nrtune.trainables.training.training_data import TrainingData

CPU = torch.device("cpu")


class CountG(torch.nn.Module):
    """Predicts the number of G; counts how many sequences it was asked for."""

    def __init__(self, with_log_variance: bool = False) -> None:
        super().__init__()
        self.asked = 0
        self.with_log_variance = with_log_variance

    def forward(self, tokens: torch.Tensor) -> Prediction:
        self.asked += len(tokens)
        mean = (tokens == 2).sum(dim=1).float()
        return Prediction(mean, -mean if self.with_log_variance else None, mean[:, None], {})


class Embedded(CountG):
    """Predicts 2 for a G at the window's centre and 0 else."""

    def forward(self, tokens: torch.Tensor) -> Prediction:
        mean = 2.0 * (tokens[:, tokens.shape[1] // 2] == 2)
        return Prediction(mean, None, mean[:, None], {})


@pytest.fixture
def variants(simulated_data: TrainingData) -> VariantSet:
    found = simulated_data.benchmark("cagi5")
    assert found is not None
    return found


@pytest.mark.parametrize("model", [CountG(), Embedded()])
def test_the_effect_is_alt_less_ref(model, variants):
    """One more G or one less: whatever surrounds it, the effect is 1 (or 2) for N>G, −1 (−2) for G>N, 0 else."""
    scale = 2 if isinstance(model, Embedded) else 1
    table = variant_effects(model, variants, CPU)
    expected = scale * ((table["alt"] == "G").astype(int) - (table["ref"] == "G").astype(int))
    assert (table["variant_effect"] == expected).all()
    assert set(table["variant_effect"]) == {-scale, 0, scale}


def test_each_distinct_window_is_predicted_once(tmp_path):
    """Three alternatives of a position share its reference window."""
    write_simulated(simulate(100), tmp_path)
    variants = read_cagi5(tmp_path / "cagi5", cell_line="simulated")
    model = CountG()
    variant_effects(model, variants, CPU)
    assert model.asked == len(variants.windows) < 2 * len(variants)


def test_a_perfect_prediction_scores_one_everywhere(variants):
    found = variant_metrics(variants, variants.value)
    for name, value in found.items():
        if "/n/" not in name and "gap" not in name and not math.isnan(value):
            assert value == pytest.approx(1), name
    assert found["cagi5/challenge/hc_lc_gap"] == pytest.approx(0)
    assert found["cagi5/challenge/spearman/all/mean"] == pytest.approx(1)


def test_the_worst_prediction_scores_minus_one(variants):
    assert variant_metrics(variants, -variants.value)["cagi5/release/spearman/all/mean"] == pytest.approx(-1)


def test_only_matched_elements_count_for_the_mean(variants):
    first = variants.elements[0]
    one = dataclasses.replace(variants, matched=(first,))
    effect = np.where(one.element == 0, one.value, -one.value)
    found = variant_metrics(one, effect)
    assert found["cagi5/challenge/spearman/all/mean"] == pytest.approx(1)
    assert found[f"cagi5/challenge/spearman/all/{one.elements[1]}"] == pytest.approx(-1)


def test_test_rows_are_scored_in_their_own_order():
    """Activity is the number of G: every correlation is 1, the error 0, and noise is not correlated with it."""
    generator = np.random.default_rng(0)
    tokens = generator.integers(0, 4, (60, 30)).astype(np.uint8)
    dataset = Dataset(
        name="counts",
        tokens=tokens,
        activity=(tokens == 2).sum(axis=1).astype(np.float32),
        aleatoric_std=generator.random(60).astype(np.float32),
        split=generator.permutation(np.repeat([0, 1, 2], 20)).astype(np.uint8),
    )
    result = score(CountG(with_log_variance=True), dataset, torch.from_numpy(tokens))
    assert result.metrics["test/spearman"] == pytest.approx(1)
    assert result.metrics["test/mse"] == 0
    assert math.isnan(result.metrics["noise/corr"])
    assert result.test["row"].tolist() == dataset.rows("test").tolist()
    assert (result.test["prediction"] == result.test["activity"]).all()
    assert (result.test["log_variance"] == -result.test["activity"]).all()
    assert result.effects == {}


def test_batches_and_mode_do_not_show():
    model = CountG()
    tokens = torch.randint(0, 5, (700, 20)).to(torch.uint8)
    assert (predict(model, tokens).mean == (tokens == 2).sum(dim=1).numpy()).all()
    assert model.training
    assert len(predict(model, tokens[:0]).mean) == 0
