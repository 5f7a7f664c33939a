"""What a comparison could have found, and how many seeds an improvement needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import nct
from scipy.stats import t as student

from nrtune.analysis.selection.candidates import MIN_SEEDS
from nrtune.analysis.uncertainty.power import MOST_SEEDS, POWER, Power
from nrtune.analysis.uncertainty.student import SIGNIFICANT, Resampled, differences

SEED_SD, BLOCK_SD, BLOCK_FREEDOM = 0.019, 0.008, 80


def pooled(seeds: int, comparisons: int, *, configurations: int = 5, block_sd: float = BLOCK_SD) -> Power:
    """Winner and baseline of a campaign, whose variance over seeds is pooled over some configurations."""
    return Power(
        winner_variance=SEED_SD**2,
        winner_freedom=configurations * (seeds - 1),
        winner_seeds=seeds,
        baseline_variance=SEED_SD**2,
        baseline_freedom=configurations * (seeds - 1),
        baseline_seeds=seeds,
        of_blocks=block_sd**2,
        block_freedom=BLOCK_FREEDOM,
        comparisons=comparisons,
    )


def p_values(improvement: float, seeds: tuple[int, ...], campaigns: int) -> Iterator[float]:
    """Of the first configuration against the second, where it is better by that; NaN where it seems worse."""
    generator = np.random.default_rng(0)
    freedom = sum(seeds) - len(seeds)
    for _ in range(campaigns):
        values = [generator.normal(0, SEED_SD, n) for n in seeds]
        variance = sum(((of - of.mean()) ** 2).sum() for of in values) / freedom
        means = np.array([of.mean() for of in values])
        means[0] += improvement + BLOCK_SD * generator.normal()
        numbers = tuple((number,) * len(of) for number, of in enumerate(values))
        pool = np.tile([variance, freedom], (len(seeds), 1))
        resampled = Resampled(
            means, np.empty((len(seeds), 0)), tuple(values), numbers, BLOCK_FREEDOM, seed_variance=pool
        )
        of_blocks = BLOCK_SD**2 * generator.chisquare(BLOCK_FREEDOM) / BLOCK_FREEDOM
        found = differences(resampled, 1, np.full(len(seeds), of_blocks), 0.95)
        yield float(found.p[0]) if found.estimate[0] > 0 else np.nan


def share_found(improvement: float, seeds: tuple[int, ...], comparisons: int) -> float:
    return float(np.mean([p * comparisons < SIGNIFICANT for p in p_values(improvement, seeds, 2500)]))


@pytest.mark.parametrize("comparisons", [1, 5, 40])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_four_of_five_are_found_by_the_test_as_it_is(seeds, comparisons):
    """Which goes by the larger of the pooled and a configuration's own variance. Standard error 0.008."""
    detectable = pooled(seeds, comparisons).minimum_detectable()
    assert share_found(detectable, (seeds,) * 5, comparisons) == pytest.approx(POWER, abs=0.03)


def test_with_the_seeds_needed_four_of_five_are_found():
    seeds = pooled(3, 5).seeds_for(0.04)
    assert seeds is not None
    assert POWER - 0.03 < share_found(0.04, (seeds, seeds, 3, 3, 3), 5) < POWER + 0.07  # the next number that is whole


def test_a_baseline_with_more_seeds_helps():
    power = dataclasses.replace(pooled(3, 5), baseline_seeds=10, winner_freedom=17, baseline_freedom=17)
    assert share_found(power.minimum_detectable(), (3, 10, 3, 3, 3), 5) == pytest.approx(POWER, abs=0.03)
    assert power.minimum_detectable() < pooled(3, 5).minimum_detectable()


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_where_own_variances_are_never_larger_it_is_the_noncentral_t(seeds):
    """With a pool of very many configurations, and few own trainings' variances that matter beside the blocks'."""
    power = dataclasses.replace(pooled(seeds, 5, block_sd=0.5), winner_freedom=1e6, baseline_freedom=1e6)
    critical = student.ppf(1 - SIGNIFICANT / 2 / 5, BLOCK_FREEDOM)
    error = np.sqrt(2 * SEED_SD**2 / seeds + 0.5**2)
    expected = nct.sf(critical, BLOCK_FREEDOM, power.minimum_detectable() / error)
    assert expected == pytest.approx(POWER, abs=0.005)


@pytest.mark.parametrize("of_one_family", [True, False])
def test_the_seeds_that_an_improvement_needs_are_the_fewest(of_one_family):
    power = pooled(3, 5)
    if not of_one_family:
        power = dataclasses.replace(power, winner_variance=0.03**2, winner_freedom=22)
    assert power.minimum_detectable(3) == power.minimum_detectable()
    assert power.power(power.minimum_detectable()) == pytest.approx(POWER, abs=1e-6)
    for improvement in (0.03, 0.04):
        seeds = power.seeds_for(improvement)
        assert seeds is not None
        assert power.minimum_detectable(seeds) <= improvement < power.minimum_detectable(seeds - 1)
    assert power.seeds_for(0.03) > power.seeds_for(0.04)
    assert power.seeds_for(1.0) == MIN_SEEDS  # with fewer nothing is tested


def test_more_seeds_do_not_help_where_variants_lack():
    power = pooled(3, 5)
    least = power.minimum_detectable(MOST_SEEDS)
    critical = student.ppf(1 - SIGNIFICANT / 2 / 5, BLOCK_FREEDOM)
    assert least > BLOCK_SD * critical
    assert power.seeds_for(least / 2) is None
    assert power.seeds_for(-0.1) is None
    assert power.seeds_for(float("nan")) is None


def test_without_variance_of_blocks_or_of_one_of_the_two():
    power = dataclasses.replace(pooled(3, 1), of_blocks=0.0, block_freedom=1.0)
    assert 0 < power.minimum_detectable() < pooled(3, 1).minimum_detectable()
    still = dataclasses.replace(power, baseline_variance=0.0)
    assert 0 < still.minimum_detectable() < power.minimum_detectable()
    alike = dataclasses.replace(pooled(3, 1), winner_variance=0.0, baseline_variance=0.0)
    assert alike.minimum_detectable() == pytest.approx(alike.minimum_detectable(MOST_SEEDS))
