"""How validation's Spearman and the objective agree: Spearman's own value, its interval's coverage, and when what is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from trial_records import record

from nrtune.analysis.report.markdown import markdown
from nrtune.analysis.report.report import make_report
from nrtune.analysis.selection.pareto import Objective
from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.early_stopping import LOOKED_AT, LOW, MIN_FINISHED, agreements, spearman_interval

RELEASE = "cagi5/release/spearman/all/mean"


def source(validation, values, stopped=3, metric=RELEASE, objectives=(), **fields):
    finished = [
        record(f"T{n}", metrics={LOOKED_AT: float(one), metric: float(other)}, **fields)
        for n, (one, other) in enumerate(zip(validation, values, strict=True))
    ]
    pruned = [record(f"P{n}", status="pruned", metrics={LOOKED_AT: 0.1, metric: 0.9}) for n in range(stopped)]
    return RecordedTrials("s", "release", [*finished, *pruned], objectives=objectives)


def drawn(n, rho, seed=0):
    one, noise = np.random.default_rng(seed).normal(size=(2, n))
    return one, rho * one + math.sqrt(1 - rho**2) * noise


def test_the_correlation_is_spearmans_over_finished_trials():
    validation, values = drawn(25, 0.6)
    (found,) = agreements(source(validation, values))
    assert found.correlation == pytest.approx(spearmanr(validation, values).statistic, abs=1e-12)
    assert (found.finished, found.stopped, found.objective) == (25, 3, Objective(RELEASE, "max"))
    assert found.low < found.correlation < found.high
    assert "the objective is cagi5/release/spearman/all/mean: over" in found.sentence()
    assert f"over the 25 trials that finished their Spearman correlation is {found.correlation:.2f}" in found.sentence()
    assert "; 3 trials stopped early not among them" in found.sentence()


def test_agreement_is_plus_where_small_is_good():
    validation, values = drawn(25, 0.6)
    metric = "val/noise/corr"
    (found,) = agreements(source(validation, -values, metric=metric, objectives=(f"{metric}:min",)))
    assert found.correlation == pytest.approx(spearmanr(validation, values).statistic, abs=1e-12)
    assert "the objective is val/noise/corr, to be small" in found.sentence()
    assert "(+: they agree)" in found.sentence()


@pytest.mark.parametrize(
    ("rho", "said"),
    [
        (0.95, None),
        (0.4, "that is below 0.5, so trials that are good at the objective may have been stopped"),
        (0.0, "that is below 0.5 and not significantly different from 0, so"),
        (-0.95, "that is below 0.5, so"),
    ],
)
def test_a_low_or_uncertain_correlation_is_a_warning(rho, said):
    validation, values = drawn(80, rho, seed=1)
    (found,) = agreements(source(validation, values))
    assert found.is_doubtful == (said is not None) == found.sentence().startswith("warning: ")
    assert (found.correlation < LOW) == found.is_doubtful
    if said is not None:
        assert said in found.sentence()
        assert "--scheduler none, in another --out" in found.sentence()


def test_few_trials_and_equal_values_tell_nothing():
    few = drawn(MIN_FINISHED - 1, 0.9)
    (found,) = agreements(source(*few))
    assert math.isnan(found.correlation)
    assert f"isn't known, as only {MIN_FINISHED - 1} trials finished" in found.sentence()
    (found,) = agreements(source(drawn(20, 0.5)[0], np.full(20, 0.3)))
    assert "isn't known, as the 20 trials that finished are all alike" in found.sentence()


def test_nothing_is_said_where_it_does_not_matter():
    validation, values = drawn(20, 0.5)
    assert agreements(source(validation, values, stopped=0)) == []
    assert agreements(source(validation, values, objectives=(f"{LOOKED_AT}:max",))) == []
    replicates = source(validation, values, replicate_of="T")
    assert agreements(replicates)[0].finished == 0
    both = agreements(source(validation, values, objectives=(f"{LOOKED_AT}:max", f"{RELEASE}:max")))
    assert [one.objective.metric for one in both] == [RELEASE]


def test_a_perfect_correlation_is_not_certain():
    low, high = (spearman_interval(np.arange(10.0), sign * np.arange(10.0)) for sign in (-1.0, 1.0))
    assert high == pytest.approx((1, 0.93, 1), abs=0.005)
    assert low == pytest.approx((-1, -1, -high[1]))


@pytest.mark.parametrize(("n", "rho"), [(10, 0.0), (10, 0.6), (30, 0.3), (30, 0.8)])
def test_the_interval_covers_the_true_correlation(n, rho):
    """Of normal samples, whose Spearman correlation is 6/π asin(ρ/2) (Pearson 1907); 600 draws, SE 0.9 points."""
    generator = np.random.default_rng(n)
    truth = 6 / math.pi * math.asin(rho / 2)
    one = generator.normal(size=(600, n))
    other = rho * one + math.sqrt(1 - rho**2) * generator.normal(size=(600, n))
    found = [spearman_interval(*pair) for pair in zip(one, other, strict=True)]
    assert 0.925 <= np.mean([low <= truth <= high for _, low, high in found]) <= 0.98


def test_a_report_says_it_under_how_it_was_run():
    said = agreements(source(*drawn(20, 0.2)))[0].sentence()
    text = markdown(make_report(Comparisons(source(*drawn(20, 0.2)))))
    assert said[:1].upper() + said[1:] in text.partition("How it was run")[2]
