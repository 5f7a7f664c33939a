"""Calibration: what a model says, on the scale of activity, whatever scale its loss gave it."""

from __future__ import annotations

import dataclasses

import literal
import numpy as np
import pytest

from nrtune.trainables.evaluation import metrics
from nrtune.trainables.evaluation.calibration import Calibration, why_unusable
from nrtune.trainables.evaluation.predictions import Predicted, score_predictions
from nrtune.trainables.training.training_data import TrainingData


@pytest.fixture
def activity() -> np.ndarray:
    return np.random.default_rng(0).normal(-0.02, 1.18, 500).astype(np.float32)


@pytest.fixture
def output(activity: np.ndarray) -> np.ndarray:
    """As a ranking loss leaves it: in order, far off in scale."""
    noise = np.random.default_rng(1).normal(size=len(activity))
    return (13.8 + 1.5 * activity + 1.2 * noise).astype(np.float32)


def test_it_is_the_least_squares_line(output, activity):
    assert Calibration.fit(output, activity) == pytest.approx(literal.affine_fit(output, activity), rel=1e-9)


def test_activity_on_what_is_calibrated_has_slope_1_and_intercept_0(output, activity):
    calibrated = Calibration.fit(output, activity).apply(output)
    slope, intercept = metrics.affine_fit(calibrated, activity)
    assert slope == pytest.approx(1, abs=1e-12)
    assert intercept == pytest.approx(0, abs=1e-12)
    assert calibrated.mean() == pytest.approx(activity.mean(dtype=np.float64), abs=1e-12)
    r = metrics.pearson(output, activity)
    assert calibrated.std() == pytest.approx(r * activity.std(dtype=np.float64), rel=1e-12)
    assert metrics.spearman(calibrated, activity) == metrics.spearman(output, activity)


@pytest.mark.parametrize(("scale", "shift"), [(1000.0, 0.0), (0.01, 0.0), (1.0, -50.0), (3.0, 7.0)])
def test_the_scale_of_the_output_does_not_show(output, activity, scale, shift):
    """Exactly representable in double precision or not: rounding alone."""
    other = scale * output.astype(np.float64) + shift
    expected = Calibration.fit(output, activity).apply(output)
    assert Calibration.fit(other, activity).apply(other) == pytest.approx(expected, abs=1e-9)


def test_a_constant_predicts_the_mean_activity(activity):
    found = Calibration.fit(np.full(len(activity), 7, np.float32), activity)
    assert found == (0, pytest.approx(activity.mean(dtype=np.float64)))
    assert why_unusable(found) is None
    assert len(set(found.apply(np.arange(5.0)))) == 1


def test_what_falls_and_what_is_missing_is_not_usable(output, activity):
    assert why_unusable(Calibration.fit(output, activity)) is None
    assert "falls as validation activity rises (slope -0." in why_unusable(Calibration.fit(-output, activity))
    assert "written before models were calibrated" in why_unusable(None)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_calibrated_noise_correlation_is_that_of_the_stored_column(simulated_data: TrainingData, sign):
    """Also where the slope is negative: an analysis that resamples the column means the metric."""
    dataset = simulated_data.dataset
    generator = np.random.default_rng(3)
    of_split = {}
    for split in ("val", "test"):
        truth = dataset.activity[dataset.rows(split)]
        of_split[split] = Predicted((sign * 4 * truth + generator.normal(size=len(truth)) + 9).astype(np.float32), None)
    found = score_predictions(dataset, of_split)
    assert np.sign(found.calibration.slope) == sign
    assert (found.test["prediction"] == of_split["test"].mean).all()
    assert (found.test["calibrated_prediction"] == found.calibration.apply(of_split["test"].mean)).all()
    error = np.abs(found.test["calibrated_prediction"] - found.test["activity"])
    assert metrics.pearson(error, found.test["aleatoric_std"]) == found.metrics["noise/corr_calibrated"]


def test_the_calibration_is_of_validation_rows_alone(simulated_data: TrainingData):
    dataset = simulated_data.dataset
    of_split = {split: Predicted(2 * dataset.activity[dataset.rows(split)] + 1, None) for split in ("val", "test")}
    assert score_predictions(dataset, of_split).calibration == pytest.approx((0.5, -0.5), abs=1e-6)
    changed = dataset.activity.copy()
    changed[dataset.rows("test")] = 0
    other = score_predictions(dataclasses.replace(dataset, activity=changed), of_split)
    assert other.calibration == score_predictions(dataset, of_split).calibration
