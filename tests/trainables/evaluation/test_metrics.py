"""Metrics against literal definitions, and where they are undefined."""

from __future__ import annotations

import math

import literal
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nrtune.trainables.data.benchmarks.cagi5 import HIGH_CONFIDENCE
from nrtune.trainables.evaluation import metrics
from nrtune.trainables.evaluation.covered import uneven_means


def rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    activity = generator.normal(size=n)
    return {
        "mean": (0.5 * activity + generator.normal(size=n)).round(2),
        "activity": activity,
        "std": generator.gamma(2, 0.3, size=n),
        "log_variance": generator.normal(size=n),
    }


@pytest.mark.parametrize("n", [2, 3, 50])
def test_correlations_equal_scipy_and_the_literal_ones(n):
    made = rows(n)
    a, b = made["mean"], made["activity"]
    assert metrics.pearson(a, b) == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-12)
    assert metrics.spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert metrics.spearman(a, b) == pytest.approx(literal.spearman(a, b), abs=1e-12)


def test_correlations_by_hand():
    assert metrics.spearman([1, 2, 3], [10, 20, 15]) == pytest.approx(0.5)  # ranks 1 2 3 and 1 3 2: 1 - 6·2/24
    assert metrics.pearson([0, 1], [5, 3]) == pytest.approx(-1)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0], [1.0, math.nan, 2.0], [1.0, math.inf, 2.0]])
def test_correlations_that_are_undefined_are_nan(values):
    other = list(range(len(values)))
    assert math.isnan(metrics.pearson(values, other))
    assert math.isnan(metrics.spearman(values, other))


def test_noise_metrics_equal_the_literal_ones():
    test, val = rows(200), rows(150, seed=1)
    found = metrics.noise_metrics(
        test["mean"],
        test["activity"],
        test["std"],
        calibration=metrics.affine_fit(val["mean"], val["activity"]),
        log_variance=test["log_variance"],
    )
    three = (test["mean"], test["activity"], test["std"])
    assert found["corr"] == pytest.approx(literal.noise_corr(*three))
    assert found["corr_calibrated"] == pytest.approx(
        literal.noise_corr_calibrated(*three, val["mean"], val["activity"])
    )
    constant = np.full(200, test["activity"].mean())
    assert found["corr_constant"] == pytest.approx(literal.noise_corr(constant, test["activity"], test["std"]))
    assert found["low_noise_spearman"] == pytest.approx(literal.low_noise_spearman(*three))
    assert found["high_noise_spearman"] == pytest.approx(literal.high_noise_spearman(*three))
    assert found["gap"] == pytest.approx(literal.noise_gap(*three))
    assert found["variance_spearman"] == pytest.approx(literal.variance_spearman(test["log_variance"], test["std"]))


def test_calibration_undoes_a_change_of_scale():
    """A ranking loss fixes no scale: ten times the prediction has the same calibrated noise correlation, another raw one."""
    test, val = rows(200), rows(150, seed=1)
    found = [
        metrics.noise_metrics(
            scale * test["mean"],
            test["activity"],
            test["std"],
            calibration=metrics.affine_fit(scale * val["mean"], val["activity"]),
        )
        for scale in (1.0, 10.0)
    ]
    assert found[0]["corr_calibrated"] == pytest.approx(found[1]["corr_calibrated"])
    assert found[0]["corr"] != pytest.approx(found[1]["corr"], abs=1e-3)


def test_a_constant_prediction_gets_the_constants_noise_correlation():
    test = rows(200)
    mean = np.full(200, 7.0)
    found = metrics.noise_metrics(
        mean, test["activity"], test["std"], calibration=(0.0, float(test["activity"].mean()))
    )
    assert found["corr_calibrated"] == pytest.approx(found["corr_constant"])
    assert math.isnan(found["low_noise_spearman"])


@pytest.mark.parametrize("n", [10, 11, 300])
def test_element_metrics_equal_the_literal_ones(n):
    generator = np.random.default_rng(n)
    effect, value = generator.normal(size=(2, n)).round(2)
    confidence = generator.choice([0.0, 0.05, 0.1, 0.3], size=n)
    high = confidence >= HIGH_CONFIDENCE
    found = metrics.stratified_metrics(effect, value, {"all": high | ~high, "hc": high, "lc": ~high})
    expected = literal.cagi5_element(effect, value, confidence)
    assert found == pytest.approx(expected, nan_ok=True)
    assert found["n/all"] == n
    assert math.isnan(found["spearman/all"]) == (n <= 10)


def of_elements(**spearman_hc: float) -> dict[str, dict[str, float]]:
    """Elements with 20 variants in each stratum, or 10 of high confidence where their correlation there is given as 2."""
    names = [f"{kind}/{stratum}" for kind in ("spearman", "pearson") for stratum in ("all", "hc", "lc")]
    found = {}
    for number, (element, value) in enumerate(spearman_hc.items(), start=1):
        one = dict.fromkeys(names, number / 10) | {"n/all": 40.0, "n/hc": 20.0, "n/lc": 20.0}
        few = {"spearman/hc": math.nan, "pearson/hc": math.nan, "n/hc": 10.0}
        found[element] = one | (few if value == 2 else {"spearman/hc": value})
    return found


def test_a_mean_leaves_out_small_strata_and_counts_what_is_undefined_as_zero():
    of_element = of_elements(A=0.5, B=math.nan, C=2, D=0.9)
    found = metrics.mean_over_elements(of_element, ["A", "B", "C"], ("all", "hc", "lc"))
    assert found["spearman/all/mean"] == pytest.approx((0.1 + 0.2 + 0.3) / 3)
    assert found["spearman/hc/mean"] == pytest.approx((0.5 + 0) / 2)
    assert found["hc_lc_gap"] == pytest.approx(0.25 - 0.2)
    nothing = metrics.mean_over_elements(of_elements(A=2), ["A"], ("hc",))
    assert math.isnan(nothing["spearman/hc/mean"])


def test_the_elements_of_a_locus_share_its_weight():
    of_element = of_elements(A=0.4, B=0.8, C=0.3)
    found = metrics.mean_over_elements(of_element, ["A", "B", "C"], ("hc",), {"A": "A", "B": "A", "C": "C"})
    assert found["spearman/hc/mean"] == pytest.approx(((0.4 + 0.8) / 2 + 0.3) / 2)
    # With too few variants of one the other has the locus to itself.
    of_element = of_elements(A=2, B=0.8, C=0.3)
    found = metrics.mean_over_elements(of_element, ["A", "B", "C"], ("hc",), {"A": "A", "B": "A", "C": "C"})
    assert found["spearman/hc/mean"] == pytest.approx((0.8 + 0.3) / 2)


def counted(part: str, **high: int) -> list[dict[str, object]]:
    return [{"element": e, "part": part, "n": 100, "hc": n, "matched": e != "X"} for e, n in high.items()]


def test_means_over_other_elements_are_said():
    same = pd.DataFrame(counted("release", A=11, B=30, X=2) + counted("challenge", A=40, B=80, X=40))
    assert uneven_means(same, ("hc",)) == []
    other = pd.DataFrame(counted("release", A=10, B=30) + counted("challenge", A=40, B=80))
    assert uneven_means(other, ("hc",)) == [
        "means over HC variants are not of the same elements: release leaves out A (fewer than 11 variants)"
    ]
