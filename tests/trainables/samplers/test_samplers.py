"""Every sampler: seeded, of the right frequencies, and alive to each of its parameters."""

from __future__ import annotations

import dataclasses

import literal
import numpy as np
import pytest
from scipy import stats

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.samplers import SAMPLERS, TrainRows
from nrtune.trainables.samplers.quantile_curriculum import QuantileCurriculum
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.training_data import TrainingData

N = 211  # a prime: no number of quantiles divides it


def some_rows(n: int = N, seed: int = 0) -> TrainRows:
    generator = np.random.default_rng(seed)
    activity = (8 * generator.normal(size=n)).round() / 8
    return TrainRows(activity.astype(np.float32), generator.gamma(2, 0.3, size=n).astype(np.float32))


def drawn(name: str, rows: TrainRows, epoch: int = 0, epochs: int = 1, seed: int = 0, **parameters: float):
    return SAMPLERS.get(name).build(parameters).epoch_rows(rows, epoch, epochs, np.random.default_rng(seed))


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_are_seeded(name):
    rows = some_rows()
    first, again, other = (drawn(name, rows, seed=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert first.dtype == np.int64
    assert len(first) == N
    assert set(first) <= set(range(N))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("n", [2, 3, 30])
@pytest.mark.parametrize("activity", [None, 1.0])
def test_samplers_live_with_few_rows_and_equal_ones(name, n, activity):
    rows = some_rows(n)
    if activity is not None:
        rows = rows._replace(activity=np.full(n, activity, np.float32))
    assert sorted(set(drawn(name, rows))) == sorted(set(drawn(name, rows)) & set(range(n)))
    assert len(drawn(name, rows)) == n


def frequencies(name: str, rows: TrainRows, epochs: int, **parameters: float) -> np.ndarray:
    counts = [np.bincount(drawn(name, rows, seed=seed, **parameters), minlength=N) for seed in range(epochs)]
    return np.sum(counts, axis=0)


def agrees(counts: np.ndarray, probability: np.ndarray) -> bool:
    """A chi-squared test against probabilities; the seeds are fixed, so it passes always or never."""
    return stats.chisquare(counts, probability * counts.sum()).pvalue > 0.01


@pytest.mark.parametrize(("n_quantiles", "noise_weight"), [(10, 0.0), (10, 0.5), (4, 1.0), (1, 0.0)])
def test_quantiles_are_drawn_as_defined(n_quantiles, noise_weight):
    rows = some_rows()
    expected = literal.quantile_probabilities(rows.activity, rows.aleatoric_std, n_quantiles, noise_weight)
    options = {"n_quantiles": n_quantiles, "noise_weight": noise_weight}
    assert agrees(frequencies("quantile_stratified", rows, 400, **options), expected)
    other = literal.quantile_probabilities(rows.activity, rows.aleatoric_std, 7, 0.2)
    assert not agrees(frequencies("quantile_stratified", rows, 400, **options), other)


@pytest.mark.parametrize("n_quantiles", [3, 10, 32])
def test_every_epoch_has_equal_counts(n_quantiles):
    rows = some_rows()
    bins = np.array(literal.quantile_bins(rows.activity, n_quantiles))
    counts = np.bincount(bins[drawn("quantile_stratified", rows, n_quantiles=n_quantiles)])
    of_occupied = counts[np.unique(bins)]
    assert of_occupied.max() - of_occupied.min() <= 1


@pytest.mark.parametrize("temperature", [0.1, 1.0, 4.0])
def test_hard_negatives_are_drawn_as_defined(temperature):
    rows = some_rows()
    expected = literal.hard_negative_probabilities(rows.activity, rows.aleatoric_std, temperature)
    counts = frequencies("hard_negative", rows, 400, temperature=temperature)
    assert agrees(counts, expected)
    other = literal.hard_negative_probabilities(rows.activity, rows.aleatoric_std, 2.0)
    assert not agrees(counts, other)


def test_a_very_low_temperature_does_not_overflow():
    rows = some_rows()
    best = np.argmax(literal.hard_negative_probabilities(rows.activity, rows.aleatoric_std, 0.5))
    assert set(drawn("hard_negative", rows, temperature=1e-6)) == {best}


def test_the_curriculum_goes_through_the_studys_resolutions():
    """3, 5, 10, 20 from epochs 0, 10, 20, 30 of 80."""
    sampler = QuantileCurriculum()
    resolutions = [sampler.n_quantiles_at(epoch, 80) for epoch in range(80)]
    assert resolutions == [3] * 10 + [5] * 10 + [10] * 10 + [20] * 50


@pytest.mark.parametrize(
    ("pace", "epochs", "resolutions"),
    [
        (0.0, 3, [20, 20, 20]),
        (1.0, 3, [3, 3, 3]),
        (0.1, 10, [3, 5, 10, 20, 20, 20, 20, 20, 20, 20]),
        (0.3, 10, [3, 3, 3, 5, 5, 5, 10, 10, 10, 20]),
        (0.125, 1, [3]),
    ],
)
def test_the_pace_of_a_curriculum(pace, epochs, resolutions):
    sampler = QuantileCurriculum(pace=pace)
    assert [sampler.n_quantiles_at(epoch, epochs) for epoch in range(epochs)] == resolutions


def test_the_curriculum_really_changes_what_is_drawn():
    """An epoch of a stage is that of quantile_stratified with the stage's resolution."""
    rows = some_rows()
    for epoch, n_quantiles in ((0, 3), (10, 5), (20, 10), (79, 20)):
        expected = drawn("quantile_stratified", rows, n_quantiles=n_quantiles)
        assert (drawn("quantile_curriculum", rows, epoch, 80) == expected).all()


def test_uniform_is_a_pass():
    assert sorted(drawn("uniform", some_rows(50))) == list(range(50))


@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_is_asked_for_where_it_is_needed(name, simulated_data):
    bare = TrainingData(dataclasses.replace(simulated_data.dataset, aleatoric_std=None))
    flat = {"sampler": name, "encoder": "factorized", "encoder.channels": 4, "epochs": 1, "batch_size": 64}
    config = TrialConfig.from_flat(flat)
    if config.sampler.needs_noise:
        with pytest.raises(UserError, match=f"no noise was measured, and sampler {name} needs it"):
            fit(config, bare)
    else:
        assert np.isfinite(fit(config, bare).metrics["test/spearman"])


def test_only_weighted_quantiles_need_noise():
    needs = {
        weight: SAMPLERS.get("quantile_stratified").build({"noise_weight": weight}).needs_noise for weight in (0, 0.5)
    }
    assert needs == {0: False, 0.5: True}
