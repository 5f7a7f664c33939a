"""Influence functions against the jackknife, lengths of blocks against processes whose memory is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from nrtune.analysis.uncertainty.block_length import (
    LONGEST,
    SHORTEST,
    along_positions,
    autocovariances,
    choose_length,
    even_length,
)
from nrtune.analysis.uncertainty.bootstrap import position_blocks
from nrtune.analysis.uncertainty.influence import pearson_influence, spearman_influence


@pytest.mark.parametrize(
    ("influence", "statistic"), [(spearman_influence, stats.spearmanr), (pearson_influence, stats.pearsonr)]
)
def test_influences_are_those_of_the_jackknife(influence, statistic):
    generator = np.random.default_rng(0)
    n = 400
    value = generator.normal(size=n)
    predictions = np.stack([value + generator.normal(size=n), 0.3 * generator.normal(size=n) - value, np.ones(n)])
    found = influence(predictions, value)
    for row in range(2):
        whole = statistic(predictions[row], value).statistic
        without = [statistic(np.delete(predictions[row], i), np.delete(value, i)).statistic for i in range(n)]
        expected = (n - 1) * (whole - np.array(without))
        assert np.corrcoef(found[row], expected)[0, 1] > 0.999
        assert found[row].std() == pytest.approx(expected.std(), rel=0.02)
    assert not found[2].any()


def test_influences_are_summed_at_each_position():
    series = along_positions(np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([7, 5, 5, 1000]))
    assert series[0, :3].tolist() == [6, 0, 1]
    assert series.shape == (1, 3 + LONGEST + 1)  # nothing is correlated across so long a stretch
    assert series[0, -1] == 8
    assert autocovariances([series])[[0, 1, 2, 3]].tolist() == [36 + 1 + 64, 0, 6, 0]


def chosen(phi: float, generator: np.random.Generator) -> float:
    """The mean of lengths for four autoregressive series of the lengths of CAGI5's elements."""
    found = []
    for _ in range(60):
        series = [lfilter([1], [1, -phi], generator.normal(size=(1, n))) for n in (386, 176, 275, 471)]
        found.append(choose_length([one - one.mean() for one in series]))
    return float(np.mean(found))


def test_blocks_are_as_long_as_the_memory():
    """Of an autoregressive process G / σ² is 2φ / (1 − φ²), and blocks are to be 20 times that."""
    generator = np.random.default_rng(1)
    assert chosen(0.0, generator) == pytest.approx(SHORTEST, abs=3)
    for phi in (0.4, 0.6):
        assert chosen(phi, generator) == pytest.approx(20 * 2 * phi / (1 - phi**2), rel=0.3)
    assert chosen(0.95, generator) > 60
    assert choose_length([np.zeros((2, 50))]) == SHORTEST


@pytest.mark.parametrize("span", [1, 3, 40, 176, 471])
@pytest.mark.parametrize("length", [10, 45, 100])
def test_blocks_are_of_one_size_and_not_too_few(span, length):
    pos = np.arange(1000, 1000 + span)
    block = position_blocks(pos, even_length(pos, length))
    sizes = np.bincount(block)
    assert len(sizes) >= min(4, math.ceil(span / 2))
    assert sizes[:-1].max(initial=0) - sizes.min() <= len(sizes)
    assert sizes.max() <= 1.5 * length + 1
