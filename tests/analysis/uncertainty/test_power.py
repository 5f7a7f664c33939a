"""What a comparison could have found, and how many seeds an improvement needs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import t as student

from nrtune.analysis.uncertainty.power import MOST_SEEDS, POWER, Power, minimum_detectable
from nrtune.analysis.uncertainty.student import SIGNIFICANT

POOLED = Power(
    of_seeds=2 * 0.019**2 / 3,
    seed_freedom=22.0,
    of_blocks=0.005**2,
    block_freedom=80,
    seeds=3,
    comparisons=5,
    pooled=True,
)


@pytest.mark.parametrize("pooled", [True, False])
def test_the_seeds_that_an_improvement_needs_are_the_fewest(pooled):
    power = dataclasses.replace(POOLED, pooled=pooled, seed_freedom=22.0 if pooled else 2.0)
    assert power.minimum_detectable(power.seeds) == power.minimum_detectable()
    for improvement in (0.02, 0.03, 0.1):
        seeds = power.seeds_for(improvement)
        assert seeds is not None
        assert power.minimum_detectable(seeds) <= improvement < power.minimum_detectable(seeds - 1)
    assert power.seeds_for(0.03) > power.seeds_for(0.1)


def test_more_seeds_do_not_help_where_variants_lack():
    least = POOLED.minimum_detectable(MOST_SEEDS)
    assert least > minimum_detectable(0.005, 80, 5)
    assert POOLED.seeds_for(least / 2) is None
    assert POOLED.seeds_for(-0.1) is None
    assert POOLED.seeds_for(float("nan")) is None


@pytest.mark.parametrize("improvement", [0.025, 0.05])
def test_with_the_seeds_needed_four_of_five_are_found(improvement):
    """The first of five comparisons, whose variance over seeds is known from 22 degrees of freedom of other trainings."""
    seeds = POOLED.seeds_for(improvement)
    generator, campaigns, sd = np.random.default_rng(0), 20_000, 0.019
    variance = 2 * sd**2 / seeds * generator.chisquare(22, campaigns) / 22
    blocks = POOLED.of_blocks * generator.chisquare(80, campaigns) / 80
    truth = np.sqrt(2 * sd**2 / seeds + POOLED.of_blocks)
    seen = improvement + truth * generator.normal(size=campaigns)
    freedom = (variance + blocks) ** 2 / (variance**2 / 22 + blocks**2 / 80)
    p = 2 * student.sf(np.abs(seen) / np.sqrt(variance + blocks), freedom) * POOLED.comparisons
    power = ((p < SIGNIFICANT) & (seen > 0)).mean()
    assert POWER - 0.02 < power < POWER + 0.1  # the next number of seeds that is whole
    fewer = POOLED.minimum_detectable(seeds - 1)
    assert fewer > improvement
