"""The ridge on k-mer counts: against its literal solution, pairs of orientations, both strands, and data that are too small."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from random_data import random_dataset

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement, to_text, to_tokens
from nrtune.trainables.evaluation import spectrum_ridge as module
from nrtune.trainables.evaluation.kmers import canonical_kmers, count_kmers
from nrtune.trainables.evaluation.metrics import spearman
from nrtune.trainables.evaluation.reference_lines import score_reference
from nrtune.trainables.evaluation.spectrum_ridge import LENGTHS, PENALTIES, spectrum_ridge


def with_pairs(elements: int) -> Dataset:
    """Each element in both orientations, one after the other, between adapters; every 7th in one alone."""
    alone, n = random_dataset(elements, 40), 2 * elements
    inserts = np.where(alone.tokens == N_TOKEN, 0, alone.tokens).astype(np.uint8)
    both = np.stack([inserts, reverse_complement(inserts)], axis=1).reshape(n, 40)
    left, right = to_tokens(["AGGAC", "CAGTT"], "adapters")
    noise = np.random.default_rng(1).normal(size=n)
    keep = np.arange(n) % 14 != 13
    return Dataset(
        name="pairs",
        tokens=np.hstack([np.tile(left, (n, 1)), both, np.tile(right, (n, 1))])[keep],
        activity=(np.repeat(alone.activity, 2) + noise).astype(np.float32)[keep],
        aleatoric_std=None,
        split=np.repeat(alone.split, 2)[keep],
    )


def literal(dataset: Dataset, lengths: tuple[int, ...], penalty: float, elements: list[list[int]]) -> np.ndarray:
    """Predictions for all rows: least squares over the elements' mean counts and √penalty · weight = 0."""
    counts = count_kmers(dataset.tokens, lengths).toarray()
    root = np.sqrt([len(rows) for rows in elements])
    x = np.stack([counts[rows].mean(axis=0) for rows in elements])
    y = np.array([dataset.activity[rows].astype(float).mean() for rows in elements])
    p = x.shape[1]
    design = np.block([[root[:, None], root[:, None] * x], [np.zeros((p, 1)), math.sqrt(penalty) * np.eye(p)]])
    intercept, *weights = np.linalg.lstsq(design, np.concatenate([root * y, np.zeros(p)]), rcond=None)[0]
    found: np.ndarray = intercept + counts @ np.array(weights)
    return found


@pytest.mark.parametrize("lengths", [(4,), (5,)])
@pytest.mark.parametrize("penalty", [10.0, 1000.0])
def test_it_equals_its_literal_solution(lengths, penalty, monkeypatch):
    """With each row for itself, and with pairs of orientations as one row that counts twice."""
    monkeypatch.setattr(module, "LENGTHS", (lengths,))
    monkeypatch.setattr(module, "PENALTIES", (penalty,))
    alone = random_dataset(120, 60)
    found = spectrum_ridge(alone)
    assert (found.lengths, found.penalty) == (lengths, penalty)
    rows = [[int(row)] for row in alone.rows("train")]
    assert found(alone.tokens) == pytest.approx(literal(alone, lengths, penalty, rows), abs=1e-5)
    pairs = with_pairs(60)
    elements: dict[bytes, list[int]] = {}
    for row in pairs.rows("train"):
        insert = pairs.tokens[row, 5:-5]
        elements.setdefault(min(insert.tobytes(), reverse_complement(insert).tobytes()), []).append(int(row))
    assert {len(one) for one in elements.values()} == {1, 2}
    of_pairs = literal(pairs, lengths, penalty, list(elements.values()))
    assert spectrum_ridge(pairs)(pairs.tokens) == pytest.approx(of_pairs, abs=1e-5)
    each_alone = literal(pairs, lengths, penalty, [[int(row)] for row in pairs.rows("train")])
    assert np.abs(each_alone - of_pairs).max() > 1e-4  # k-mers across the adapters' ends differ between orientations


@pytest.mark.parametrize("lengths", [(6,), (7,), (6, 7)])
def test_long_k_mers_equal_the_literal_solution_in_the_rows(lengths, monkeypatch):
    """Their features are too many for least squares: weights = Xᵀ (X Xᵀ + penalty)⁻¹ y of centred counts and activities."""
    monkeypatch.setattr(module, "LENGTHS", (lengths,))
    monkeypatch.setattr(module, "PENALTIES", (100.0,))
    dataset = random_dataset(160, 60)
    counts = count_kmers(dataset.tokens, lengths).toarray()
    train = dataset.rows("train")
    x, y = counts[train] - counts[train].mean(axis=0), dataset.activity[train].astype(float)
    weights = x.T @ np.linalg.solve(x @ x.T + 100 * np.eye(len(train)), y - y.mean())
    expected = y.mean() + (counts - counts[train].mean(axis=0)) @ weights
    assert spectrum_ridge(dataset)(dataset.tokens) == pytest.approx(expected, abs=1e-5)


def test_parts_of_any_size_give_the_same(monkeypatch):
    dataset = with_pairs(60)
    whole = spectrum_ridge(dataset)
    monkeypatch.setattr(module, "CHUNK_ROWS", 7)
    parts = spectrum_ridge(dataset)
    assert (parts.lengths, parts.penalty) == (whole.lengths, whole.penalty)
    assert parts.weights == pytest.approx(whole.weights, abs=1e-6)
    assert parts(dataset.tokens) == pytest.approx(whole(dataset.tokens), abs=1e-5)


def test_both_strands_are_predicted_bitwise_alike():
    dataset = random_dataset(80, 60)
    ridge = spectrum_ridge(dataset)
    predicted = ridge(dataset.tokens)
    assert len(np.unique(predicted)) > 70
    assert (ridge(reverse_complement(dataset.tokens)) == predicted).all()
    # Nor does a sequence's place among the others show.
    assert (ridge(np.concatenate([dataset.tokens[::-1]] * 8))[7 * 80 :] == predicted[::-1]).all()
    assert ridge(dataset.tokens[3:4]) == predicted[3]
    assert ridge(dataset.tokens[:0]).shape == (0,)


def test_validation_chooses_lengths_and_penalty(monkeypatch):
    """What all would have had, each alone: none is better than the chosen one."""
    dataset = with_pairs(150)
    val = dataset.rows("val")
    chosen = spectrum_ridge(dataset)
    assert chosen.lengths in LENGTHS
    assert chosen.penalty in PENALTIES
    assert spearman(chosen(dataset.tokens[val]), dataset.activity[val]) == pytest.approx(chosen.val_spearman, abs=1e-3)
    best = []
    for lengths in LENGTHS:
        monkeypatch.setattr(module, "LENGTHS", (lengths,))
        best.append(spectrum_ridge(dataset).val_spearman)
    assert max(best) == chosen.val_spearman
    assert LENGTHS[best.index(max(best))] == chosen.lengths


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
    assert score_reference("spectrum_ridge", data).metrics["test/spearman"] > 0.3
    ridge = spectrum_ridge(data)
    names = [to_text(kmer) for k in ridge.lengths for kmer in canonical_kmers(k)]
    heaviest = names[ridge.weights.argmax()]
    assert any(heaviest in strand or strand in heaviest for strand in ("TGACTC", "GAGTCA"))


@pytest.mark.parametrize("what", ["too short for a k-mer", "nothing but N", "one activity", "two rows a split"])
def test_no_data_are_too_small_for_the_ridge(what):
    dataset = random_dataset(12, 3 if what == "too short for a k-mer" else 40)
    if what == "nothing but N":
        dataset = dataclasses.replace(dataset, tokens=np.full_like(dataset.tokens, 4))
    if what == "one activity":
        dataset = dataclasses.replace(dataset, activity=np.full_like(dataset.activity, 0.3))
    if what == "two rows a split":
        columns = {name: getattr(dataset, name)[:6] for name in ("tokens", "activity", "aleatoric_std")}
        dataset = dataclasses.replace(dataset, **columns, split=np.repeat([0, 1, 2], 2).astype(np.uint8))
    assert math.isfinite(score_reference("spectrum_ridge", dataset).metrics["test/mse"])
    if what != "two rows a split":
        mean = dataset.activity[dataset.rows("train")].mean()
        assert spectrum_ridge(dataset)(dataset.tokens) == pytest.approx(np.full(12, mean), abs=1e-6)
