"""Winners against non-neural baselines: paired over orientation pairs, corrected for the candidates, and said in JSON."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from nrtune.analysis.report.summaries import non_neural_sentence, winner_record
from nrtune.analysis.sources.trials import RecordedTrials
from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.uncertainty.compared import BETTER, SAME, WORSE
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.ensemble import EnsembleComparison
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.non_neural import ALWAYS
from nrtune.analysis.uncertainty.student import holm
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.trainables.evaluation.metrics import pearson, spearman

PAIRS = 150
SHARED = np.random.default_rng(0).normal(size=PAIRS)
ACTIVITY = np.repeat(SHARED, 2) + 0.1 * np.random.default_rng(1).normal(size=2 * PAIRS)
HOW = Resampling(resamples=500)
WHEN = "2026-01-01T00:00:00+00:00"


def predicted(noise: float, seed: int) -> pd.DataFrame:
    """Both orientations of an element are predicted alike, as models that read both strands do."""
    error = np.repeat(np.random.default_rng([2, seed]).normal(size=PAIRS), 2)
    rows = np.arange(2 * PAIRS)
    return pd.DataFrame(
        {"row": rows, "cluster": rows // 2, "activity": ACTIVITY, "prediction": ACTIVITY + noise * error}
    )


class Campaign(RecordedTrials):
    """Candidates and a baseline, each trained with so many seeds, beside a ridge whose predictions are given."""

    def __init__(self, noise: dict[str, float], ridge: pd.DataFrame, seeds: int = 3) -> None:
        self.tables, records = {}, []
        for number, (name, size) in enumerate(noise.items()):
            for seed in range(seeds + 1):
                own = name if seed == 0 else f"{name}/s{seed}"
                table = self.tables[own] = predicted(size, 100 * number + seed)
                value = {"spearman": spearman, "pearson": pearson}
                metrics = {f"{split}/{kind}": of(table["prediction"].to_numpy(), ACTIVITY) for kind, of in value.items()
                           for split in ("val", "test")}  # fmt: skip
                family = "baseline" if name.startswith("BASE") else "rank_stability"
                fields = {"family": family, "number": 0, "status": "finished", "config": {"seed": seed},
                          "metrics": metrics, "epochs_trained": 1, "seconds": 1.0, "started": WHEN, "ended": WHEN,
                          "replicate_of": None if seed == 0 else name}  # fmt: skip
                records.append(TrialRecord.from_flat(name=own, fingerprint=own, **fields))
        of_ridge = {f"test/{kind}": of(ridge["prediction"].to_numpy(), ACTIVITY) for kind, of in value.items()}
        constant = {"test/spearman": 0.0, "test/pearson": 0.0}
        super().__init__("stored", "release", records, {"constant": constant, "spectrum_ridge": of_ridge})
        self.ridge = ridge

    def predictions(self, fingerprint: str) -> Predictions:
        return Predictions(self.tables[fingerprint])

    def reference_predictions(self, name: str) -> Predictions:
        table = self.ridge if name == "spectrum_ridge" else self.ridge.assign(prediction=0.0)
        return Predictions(table)


NOISE = {"BASE": 2.0, "good": 0.7, "fair": 0.8, "poor": 1.6}


@pytest.mark.parametrize(("noise", "word"), [(0.2, WORSE), (0.68, SAME), (2.0, BETTER)])
def test_a_winner_is_tested_in_test_spearman_and_pearson(noise, word):
    comparisons = Comparisons(Campaign(NOISE, predicted(noise, 999)), how=HOW)
    comparison = comparisons.compare("in_distribution")
    verdict = verdict_of(comparisons, comparison)
    assert [row.metric for row in verdict.non_neural] == list(ALWAYS)
    assert {row.baseline for row in verdict.non_neural} == {"spectrum_ridge"}
    assert {row.verdict for row in verdict.non_neural} == {word}
    assert verdict.against_non_neural == word
    for row in verdict.non_neural:
        if row.metric in comparison.winner.reported:
            assert row.improvement == pytest.approx(comparison.winner.reported[row.metric] - row.value)
        assert row.low < row.value < row.high
        assert row.improvement_low < row.improvement < row.improvement_high
        assert (row.improvement_low > 0, row.improvement_high < 0) == (word == BETTER, word == WORSE)


def test_it_is_the_paired_test_of_all_candidates_over_pairs_and_seeds():
    """Each candidate less the ridge on the same clusters, corrected by Holm; without the clusters errors would be too small."""
    campaign = Campaign(NOISE, predicted(0.9, 999))
    comparisons = Comparisons(campaign, how=HOW)
    found = comparisons.compare("in_distribution")
    names = ["good", "fair", "poor"]
    trainings = {name: [f"{name}/s{seed}" for seed in (1, 2, 3)] for name in names}

    def over_ridge(**changed: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        def of(table: pd.DataFrame) -> Predictions:
            return Predictions(table.assign(**changed))

        candidates = [Configuration(name, (1, 2, 3), tuple(of(campaign.tables[own]) for own in trainings[name]),
                                    "rank_stability") for name in names]  # fmt: skip
        line = Configuration("spectrum_ridge", (0,), (of(campaign.ridge),))
        resampler = Resampler([*candidates, line], (), HOW, comparisons.seed_variance)
        against = resampler.differences(resampler.metric("test/pearson"), 3)
        return against.estimate[:3], against.error[:3], holm(against.p[:3])

    estimate, error, corrected = over_ridge()
    row = next(row for row in found.non_neural if row.metric == "test/pearson")
    at = names.index(found.winner.trial)
    assert (row.improvement, row.p_adjusted) == pytest.approx((estimate[at], corrected[at]))
    assert row.p_adjusted > row.p
    _, alone, _ = over_ridge(cluster=np.arange(2 * PAIRS))
    assert error[at] > 1.05 * alone[at]


def test_single_seeds_have_values_with_intervals_and_no_test():
    comparisons = Comparisons(Campaign(NOISE, predicted(0.9, 999), seeds=0), how=HOW)
    found = comparisons.compare("in_distribution")
    assert found.against_non_neural.startswith(f"not tested: {found.winner.trial} has fewer than 3 seeds")
    for row in found.non_neural:
        assert row.verdict == found.against_non_neural
        assert row.low < row.value < row.high
        assert (row.improvement, row.p, row.p_adjusted) == (None, None, None)
        assert non_neural_sentence(row).endswith(f": {row.verdict}")


def test_programs_and_people_get_the_same_numbers():
    comparisons = Comparisons(Campaign(NOISE, predicted(2.0, 999)), how=HOW)
    found = comparisons.compare("in_distribution")
    stored = json.loads(json.dumps(winner_record(comparisons, found)))["verdict"]["non_neural"]
    assert stored == [dataclasses.asdict(row) for row in found.non_neural]
    for row in found.non_neural:
        said = non_neural_sentence(row)
        assert f"k-mer ridge regression {row.value:.3f}, 95 % interval {row.low:.3f} to {row.high:.3f}: better" in said
        assert f"{row.improvement:+.3f}" in said


def test_a_value_s_interval_is_that_of_the_resampled_metric():
    campaign = Campaign(NOISE, predicted(0.9, 999))
    both = [Configuration(name, (0,), (campaign.predictions(name),)) for name in ("good", "BASE")]
    for metric in ALWAYS:
        resampler = Resampler(both, (), HOW)
        found = resampler.values(metric)
        expected = resampler.interval(resampler.metric(metric))
        for one, other in zip(found, expected, strict=True):
            assert (one == other).all()
    assert resampler.values("noise/corr") is None


@pytest.mark.parametrize(("noise", "word"), [(0.1, WORSE), (0.35, SAME), (2.0, BETTER)])
def test_an_ensemble_is_tested_as_the_one_predictor_that_it_is(noise, word):
    """Of four trainings of the winner: paired over orientation pairs, corrected for the two metrics alone."""
    campaign = Campaign(NOISE, predicted(noise, 999))
    compared = EnsembleComparison(campaign, "in_distribution", replicates=True, how=HOW)
    found = compared.against_non_neural()
    assert [row.metric for row in found] == list(ALWAYS)
    assert {row.verdict for row in found} == {word}
    both = Resampler(
        [
            Configuration("mean", (0,), (compared.combined["mean"],)),
            Configuration("ridge", (0,), (campaign.reference_predictions("spectrum_ridge"),)),
        ],
        (),
        HOW,
    )
    alone = [both.differences(both.metric(metric), 1) for metric in ALWAYS]
    assert [row.improvement for row in found] == [pytest.approx(float(one.estimate[0])) for one in alone]
    assert [row.p for row in found] == [float(one.p[0]) for one in alone]
    assert [row.p_adjusted for row in found] == list(holm(np.array([one.p[0] for one in alone])))
