"""Reference lines: counts by hand, the ridge against its literal solution, and their numbers on real data."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.sequences import reverse_complement, to_text, to_tokens
from nrtune.trainables.evaluation import reference_lines as references
from nrtune.trainables.evaluation.reference_lines import (
    PENALTIES,
    REFERENCES,
    canonical_kmers,
    count_kmers,
    kmer_ridge,
    score_reference,
)
from nrtune.trainables.training.training_data import TrainingData

NAMES = [to_text(kmer) for kmer in canonical_kmers()]


def counted(*sequences: str) -> list[dict[str, int]]:
    """The 6-mers that were counted in each sequence, by name."""
    counts = count_kmers(to_tokens(sequences, "sequences"))
    return [{NAMES[i]: int(row[i]) for i in np.flatnonzero(row)} for row in counts]


def random_dataset(n: int, length: int, seed: int = 0) -> Dataset:
    """Random bases, of which 1 in 50 is N, and random activity; half of the rows train, a quarter each validate and test."""
    generator = np.random.default_rng(seed)
    return Dataset(
        name="random",
        tokens=generator.choice(5, (n, length), p=[0.245] * 4 + [0.02]).astype(np.uint8),
        activity=generator.normal(size=n).astype(np.float32),
        aleatoric_std=generator.gamma(2, 0.2, size=n).astype(np.float32),
        split=generator.permutation(np.arange(n) % 4 - 1).clip(0).astype(np.uint8),
    )


def test_each_6_mer_is_one_feature_with_its_reverse_complement():
    assert len(NAMES) == len(set(NAMES)) == (4**6 + 4**3) // 2 == 2080
    assert sorted(NAMES) == NAMES
    assert all(to_text(reverse_complement(kmer)) >= name for kmer, name in zip(canonical_kmers(), NAMES, strict=True))


def test_counts_by_hand():
    # Windows of AAAAAAA: AAAAAA twice. Of CCTTTTTT: CCTTTT, CTTTTT, TTTTTT, or AAAAGG, AAAAAG, AAAAAA on the other
    # strand. ACGCGT is its own reverse complement; TACGCGT also holds TACGCG, which comes after CGCGTA.
    assert counted("AAAAAAAN", "CCTTTTTT", "TACGCGTN", "ACGTNACG") == [
        {"AAAAAA": 2},
        {"AAAAGG": 1, "AAAAAG": 1, "AAAAAA": 1},
        {"ACGCGT": 1, "CGCGTA": 1},
        {},
    ]
    assert counted("ACGTA") == [{}]


def test_both_strands_are_predicted_bitwise_alike():
    dataset = random_dataset(80, 60)
    ridge = kmer_ridge(dataset)
    predicted = ridge(dataset.tokens)
    assert len(np.unique(predicted)) > 70
    assert (ridge(reverse_complement(dataset.tokens)) == predicted).all()
    # Nor does a sequence's place among the others show.
    assert (ridge(np.concatenate([dataset.tokens[::-1]] * 8))[7 * 80 :] == predicted[::-1]).all()


def test_ridge_equals_its_literal_solution():
    """Least squares over the rows, and √(n · penalty) · weight = 0 for each standardised feature but the intercept."""
    dataset = random_dataset(80, 12)
    ridge = kmer_ridge(dataset)
    assert ridge.penalty in PENALTIES
    rows = dataset.rows("train")
    counters = []
    for row in rows:
        text = to_text(dataset.tokens[row])
        windows = [text[i : i + 6] for i in range(7) if "N" not in text[i : i + 6]]
        other = [to_text(reverse_complement(to_tokens([window], "window")[0])) for window in windows]
        counters.append(Counter(map(min, windows, other)))
    features = sorted(set().union(*counters))
    counts = np.array([[counter[feature] for feature in features] for counter in counters], float)
    standardised = (counts - counts.mean(axis=0)) / counts.std(axis=0)
    n, p = standardised.shape
    design = np.block([[np.ones((n, 1)), standardised], [np.zeros((p, 1)), math.sqrt(n * ridge.penalty) * np.eye(p)]])
    target = np.concatenate([dataset.activity[rows], np.zeros(p)])
    intercept, *weights = np.linalg.lstsq(design, target, rcond=None)[0]
    assert ridge(dataset.tokens[rows]) == pytest.approx(intercept + standardised @ weights, abs=1e-5)
    there = np.isin(NAMES, features)
    assert ridge.weights[there] == pytest.approx(np.array(weights) / counts.std(axis=0), abs=1e-7)
    assert (ridge.weights[~there] == 0).all()


def test_fewer_and_more_rows_than_6_mers_are_solved_alike():
    dataset = random_dataset(80, 60)
    activity = dataset.activity - dataset.activity.mean(dtype=float)
    mean, weights = references._solve_primal(dataset.tokens, activity)
    other_mean, other_weights = references._solve_dual(dataset.tokens, activity)
    assert mean == pytest.approx(other_mean)
    assert weights == pytest.approx(other_weights, abs=1e-9)
    assert weights.std(axis=1) == pytest.approx(np.sort(weights.std(axis=1))[::-1])  # a larger penalty, less weight


def test_ridge_finds_planted_motifs():
    """Half of the sequences hold TGACTC, on either strand, which adds 1 to noise of 0.5 (std)."""
    dataset = random_dataset(1000, 60)
    generator = np.random.default_rng(1)
    motif = to_tokens(["TGACTC"], "motif")[0]
    tokens, planted = dataset.tokens.copy(), generator.random(1000) < 0.5
    for row in np.flatnonzero(planted):
        place = generator.integers(0, 55)
        tokens[row, place : place + 6] = motif if generator.random() < 0.5 else reverse_complement(motif)
    data = dataclasses.replace(dataset, tokens=tokens, activity=(planted + 0.5 * dataset.activity).astype(np.float32))
    assert score_reference("kmer_ridge", data).metrics["test/spearman"] > 0.3  # 0.38
    per_std = kmer_ridge(data).weights * count_kmers(data.tokens).std(axis=0)
    assert NAMES[per_std.argmax()] == "GAGTCA"


def test_constant_is_the_mean_training_activity(simulated_data):
    """Its error is the variance, and the square of how far the training mean is from the test mean."""
    dataset, benchmarks = simulated_data
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
    found, again = (score_reference(name, *simulated_data) for _ in range(2))
    assert found.defined() == again.defined()
    assert set(found.defined()) <= set(found.metrics)
    assert {"test/mse", "noise/corr", "test/noise_free_spearman", "cagi5/release/hc_lc_gap"} <= set(found.metrics)
    assert list(found.test) == ["row", "activity", "prediction", "calibrated_prediction", "cluster", "aleatoric_std",
                                "noise_free"]  # fmt: skip
    effect = found.effects["cagi5"]["alt_prediction"] - found.effects["cagi5"]["ref_prediction"]
    assert (found.effects["cagi5"]["variant_effect"] == effect).all()
    assert len(found.effects["cagi5"]) == len(simulated_data.benchmark("cagi5"))


@pytest.mark.parametrize("what", ["too short for a 6-mer", "nothing but N", "one activity", "two rows a split"])
def test_no_data_are_too_small_for_the_ridge(what):
    dataset = random_dataset(12, 5 if what == "too short for a 6-mer" else 40)
    if what == "nothing but N":
        dataset = dataclasses.replace(dataset, tokens=np.full_like(dataset.tokens, 4))
    if what == "one activity":
        dataset = dataclasses.replace(dataset, activity=np.full_like(dataset.activity, 0.3))
    if what == "two rows a split":
        columns = {name: getattr(dataset, name)[:6] for name in ("tokens", "activity", "aleatoric_std")}
        dataset = dataclasses.replace(dataset, **columns, split=np.repeat([0, 1, 2], 2).astype(np.uint8))
    assert math.isfinite(score_reference("kmer_ridge", dataset).metrics["test/mse"])
    if what != "two rows a split":
        mean = dataset.activity[dataset.rows("train")].mean()
        assert kmer_ridge(dataset)(dataset.tokens) == pytest.approx(np.full(12, mean), abs=1e-6)


@pytest.mark.end_to_end
def test_real_data(real_data: Path):
    """The WTC11 file: the figures were measured when this was written."""
    dataset = read_dataset(real_data / "lentimpra" / "lentiMPRA_WTC11_activity_and_aleatoric_data.h5")
    variants = read_cagi5(real_data / "cagi5")
    ridge = score_reference("kmer_ridge", dataset, (variants,)).metrics
    assert 0.37 < ridge["test/spearman"] < 0.45  # 0.399
    assert 0.1 < ridge["cagi5/challenge/spearman/all/mean"] < 0.25  # 0.171
    constant = score_reference("constant", dataset, (variants,)).metrics
    assert constant["noise/corr_constant"] == pytest.approx(0.117, abs=0.001)
    # The mean of the training rows is not quite that of the test rows, which corr_constant takes.
    assert constant["noise/corr"] == pytest.approx(0.1156, abs=0.001)
