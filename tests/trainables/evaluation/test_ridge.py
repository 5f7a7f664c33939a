"""The path of ridge regressions against the normal equations, solved directly."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from scipy import sparse

from nrtune.trainables.evaluation.ridge import ACCURACY, Rows, ridge_path

PENALTIES = (1e5, 1e3, 10.0, 0.1)


def problem(n: int, features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts (n, features), of which the last feature is alike in all rows; a target; weights of 1 and 2."""
    generator = np.random.default_rng(n)
    counts = generator.poisson(generator.gamma(0.5, 1, features), (n, features)).astype(float)
    counts[:, -1] = 3
    target = counts @ generator.normal(size=features) + 5 + generator.normal(size=n)
    return counts, target, generator.integers(1, 3, n).astype(float)


def in_parts(counts: np.ndarray, weight: np.ndarray, sizes: tuple[int, ...] = ()) -> Rows:
    return Rows([sparse.csr_array(part) for part in np.split(counts, np.cumsum(sizes))], weight)


@pytest.mark.parametrize(("n", "features"), [(200, 30), (30, 200), (40, 40)])
def test_each_penalty_solves_the_normal_equations(n, features):
    """More rows than features, and fewer: (Xᵀ W X + penalty) w = Xᵀ W y of centred X and y."""
    counts, target, weight = problem(n, features)
    centred = counts - np.average(counts, axis=0, weights=weight)
    y = target - np.average(target, weights=weight)
    found = list(ridge_path(in_parts(counts, weight), target, PENALTIES))
    assert [one.penalty for one in found] == list(PENALTIES)
    for one in found:
        gram = centred.T @ (weight[:, None] * centred) + one.penalty * np.eye(features)
        literal = np.linalg.solve(gram, centred.T @ (weight * y))
        assert np.linalg.norm(one.weights - literal) <= 2 * ACCURACY * np.linalg.norm(literal)
        assert one.weights[-1] == pytest.approx(0, abs=1e-9)
        fitted = counts @ one.weights + one.intercept
        assert np.average(fitted, weights=weight) == pytest.approx(np.average(target, weights=weight))


def test_with_fewer_rows_it_is_the_dual_solution():
    """W = Xᵀ (X Xᵀ + penalty)⁻¹ y, in the rows instead of the features."""
    counts, target, _ = problem(30, 200)
    centred, y = counts - counts.mean(axis=0), target - target.mean()
    for one in ridge_path(in_parts(counts, np.ones(30)), target, PENALTIES):
        dual = centred.T @ np.linalg.solve(centred @ centred.T + one.penalty * np.eye(30), y)
        assert np.linalg.norm(one.weights - dual) <= 2 * ACCURACY * np.linalg.norm(dual)


def test_a_row_of_weight_two_is_two_rows():
    counts, target, weight = problem(60, 20)
    twice = np.repeat(np.arange(60), weight.astype(int))
    found = ridge_path(in_parts(counts, weight), target, PENALTIES)
    other = ridge_path(in_parts(counts[twice], np.ones(len(twice))), target[twice], PENALTIES)
    for one, two in zip(found, other, strict=True):
        assert one.weights == pytest.approx(two.weights, abs=1e-5)
        assert one.intercept == pytest.approx(two.intercept, abs=1e-5)


def test_parts_are_one_matrix():
    counts, target, weight = problem(60, 20)
    for one, two in zip(
        ridge_path(in_parts(counts, weight), target, PENALTIES),
        ridge_path(in_parts(counts, weight, (7, 30)), target, PENALTIES),
        strict=True,
    ):
        assert one.weights == pytest.approx(two.weights, abs=1e-6)


def test_a_small_penalty_that_nobody_asks_for_costs_nothing():
    counts, target, weight = problem(400, 150)
    passes = 0

    class Counted(Rows):
        def times(self, weights):
            nonlocal passes
            passes += 1
            return super().times(weights)

    rows = Counted([sparse.csr_array(counts)], weight)
    path = ridge_path(rows, target, (1e6, 1e-3))
    next(path)
    first = passes
    next(path)
    assert 0 < first < passes


def test_two_rows_leave_one_direction():
    """Of rows 0 and 2 of a feature, about their mean: (1 + 1) w + penalty w = 1 · 1 + 1 · 1 of targets −1 and 1."""
    (one,) = ridge_path(in_parts(np.array([[0.0], [2.0]]), np.ones(2)), np.array([-1.0, 1.0]), (3.0,))
    assert one.weights == pytest.approx([2 / (2 + 3)])
    assert one.intercept == pytest.approx(-2 / 5)


def test_nothing_to_explain():
    counts, _, weight = problem(20, 10)
    for target in (np.full(20, 0.25), np.zeros(20)):
        (one,) = islice(ridge_path(in_parts(counts, weight), target, (1.0,)), 1)
        assert one.weights == pytest.approx(np.zeros(10), abs=1e-12)
        assert one.intercept == pytest.approx(target[0])
    (one,) = ridge_path(in_parts(np.zeros((20, 10)), weight), counts[:, 0], (1.0,))
    assert (one.weights == 0).all()
