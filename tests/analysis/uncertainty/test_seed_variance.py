"""The variance over seeds, pooled, and what it adds to the interval of a single training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nrtune.analysis.selection.seed_variance import ENOUGH_FREEDOM, UNKNOWN, SeedVariance
from nrtune.analysis.uncertainty.student import PRIOR_FREEDOM, Resampled, own_intervals, paired_differences, placed

METRIC = "test/spearman"


def table(*rows: tuple[str, str, str | None, float]) -> pd.DataFrame:
    """Finished trials: name, family, what they are replicates of, value."""
    names = ["name", "family", "replicate_of", METRIC]
    return pd.DataFrame(rows, columns=names).assign(status="finished", same_as=None, seed=range(len(rows)))


def replicates(of: str, family: str, values: np.ndarray) -> list[tuple[str, str, str | None, float]]:
    return [(f"{of}/s{number}", family, of, float(value)) for number, value in enumerate(values)]


def test_variances_are_pooled_over_configurations():
    one, other = np.array([0.1, 0.3]), np.array([0.5, 0.6, 0.7])
    rows = [("A", "rs", None, 9.0), ("C", "dh", None, -9.0), *replicates("A", "rs", one), *replicates("C", "dh", other)]
    found = SeedVariance(table(*rows).assign(loss=lambda of: of["name"]))
    assert found.configurations == 2
    variance, freedom = found.of(METRIC, "rs")
    assert variance == pytest.approx((np.var(one, ddof=1) + 2 * np.var(other, ddof=1)) / 3)
    assert freedom == 3
    assert found.of("test/pearson", "rs") == UNKNOWN


def test_a_family_with_seeds_enough_has_its_own():
    generator = np.random.default_rng(0)
    calm, wild = generator.normal(0, 0.01, ENOUGH_FREEDOM + 1), generator.normal(0, 1.0, ENOUGH_FREEDOM)
    rows = [*replicates("A", "rs", calm), *replicates("C", "dh", wild)]
    found = SeedVariance(table(*rows))
    assert found.of(METRIC, "rs") == pytest.approx((np.var(calm, ddof=1), ENOUGH_FREEDOM))
    assert found.of(METRIC, "dh").freedom == 2 * ENOUGH_FREEDOM - 1


def test_published_seeds_tell_it_too():
    rows = table(("A", "rs", None, 0.1), ("B", "rs", None, 0.3)).assign(loss="mse")
    assert SeedVariance(rows).of(METRIC, "rs") == pytest.approx((0.02, 1.0))
    assert SeedVariance(rows.assign(loss=["mse", "rank"])).of(METRIC, "rs") == UNKNOWN


def test_a_single_training_has_it_in_its_interval():
    generator = np.random.default_rng(1)
    samples = generator.normal(0, 0.03, (3, 4000))
    values = tuple(np.array([value]) for value in (0.3, 0.35, 0.4))
    seed_variance = np.array([[0.0004, 20.0], [0.0004, 20.0], [0.0, 0.0]])
    without = Resampled(np.array([0.3, 0.35, 0.4]), samples, values, ((0,), (1,), (2,)), 50)
    with_seeds = Resampled(without.estimate, samples, values, without.seeds, 50, seed_variance=seed_variance)
    plain, own = own_intervals(without, 0.95), own_intervals(with_seeds, 0.95)
    assert own.error[:2] ** 2 == pytest.approx(plain.error[:2] ** 2 + 0.0004)
    assert own.error[2] == plain.error[2]
    plain, over = paired_differences(without, 0, 0.95), paired_differences(with_seeds, 0, 0.95)
    assert over.error[1:] ** 2 == pytest.approx(plain.error[1:] ** 2 + [0.0008, 0.0004])
    assert (over.error[0], over.p[0]) == (0, 1)
    turned = with_seeds.map(np.negative)
    assert own_intervals(turned, 0.95).high == pytest.approx(-own.low)


def test_single_trainings_intervals_cover_their_configuration():
    """Of 400 configurations trained once each, with seed noise twice that of variants; 8 others have four seeds."""
    generator = np.random.default_rng(2)
    truth, seed_sd, block_sd = 0.4, 0.02, 0.01
    rows = [row for number in range(8) for row in replicates(f"R{number}", "rs", generator.normal(0.4, seed_sd, 4))]
    pooled = SeedVariance(table(*rows)).of(METRIC, "rs")
    block = generator.normal(0, block_sd, 400)
    estimate = truth + generator.normal(0, seed_sd, 400) + block
    samples = estimate[:, None] + generator.normal(0, block_sd, (400, 300))
    values, seeds = tuple(estimate[:, None]), tuple((number,) for number in range(400))
    own = own_intervals(Resampled(estimate, samples, values, seeds, 40, seed_variance=np.tile(pooled, (400, 1))), 0.95)
    covered = ((own.low <= truth) & (truth <= own.high)).mean()
    bare = own_intervals(Resampled(estimate, samples, values, seeds, 40), 0.95)
    assert 0.91 < covered < 0.99
    assert ((bare.low <= truth) & (truth <= bare.high)).mean() < 0.75


def test_a_configuration_that_varies_more_than_the_pool_has_its_own_variance():
    calm, wild = np.array([0.30, 0.31, 0.32]), np.array([0.1, 0.3, 0.5])
    resampled = Resampled(
        np.array([calm.mean(), wild.mean()]), np.zeros((2, 100)), (calm, wild), ((1, 2, 3), (4, 5, 6)), 50,
        seed_variance=np.array([[0.0004, 20.0], [0.0004, 20.0]]),
    )  # fmt: skip
    own = own_intervals(resampled, 0.95)
    assert own.error**2 == pytest.approx([0.0004 / 3, np.var(wild, ddof=1) / 3])
    assert own.freedom == pytest.approx([PRIOR_FREEDOM + 2] * 2)
    over = paired_differences(resampled, 0, 0.95)
    of_calm, of_wild = 0.0004 / 3, np.var(wild, ddof=1) / 3
    assert over.error[1] ** 2 == pytest.approx(of_calm + of_wild)
    assert over.freedom[1] == pytest.approx((of_calm + of_wild) ** 2 / (of_calm**2 + of_wild**2) * (PRIOR_FREEDOM + 2))


def test_a_difference_has_no_more_freedom_than_the_pool():
    values = np.array([0.30, 0.31, 0.32])
    resampled = Resampled(
        np.array([0.31, 0.31]), np.zeros((2, 100)), (values, values), ((1, 2, 3), (4, 5, 6)), 50,
        seed_variance=np.array([[0.0004, 5.0], [0.0004, 5.0]]),
    )  # fmt: skip
    assert own_intervals(resampled, 0.95).freedom == pytest.approx([5, 5])
    assert paired_differences(resampled, 0, 0.95).freedom[1] == pytest.approx(5)


def test_what_is_ranked_varies_by_blocks_seeds_and_both_once_each():
    """Thirty seeds on forty blocks, all drawn anew 400 times."""
    generator, blocks, seeds = np.random.default_rng(3), 40, 30
    sd_block, sd_seed, sd_both = 0.02, 0.02, 0.15
    variances = []
    for _ in range(400):
        values = generator.normal(0, sd_block, blocks) + generator.normal(0, sd_seed, (seeds, 1))
        values = values + generator.normal(0, sd_both, (seeds, blocks))
        samples = values @ generator.multinomial(blocks, np.full(blocks, 1 / blocks), 400).T / blocks
        of_blocks, of_seed = samples.mean(axis=0)[None], values.mean(axis=1)
        resampled = Resampled(
            of_seed.mean(keepdims=True), of_blocks, (of_seed,), (tuple(range(seeds)),), blocks - 1,
            of_blocks=of_blocks, apart=(samples - of_blocks,),
        )  # fmt: skip
        variances.append(np.var(placed(resampled, generator), ddof=1))
    true = sd_block**2 / blocks + sd_seed**2 / seeds + sd_both**2 / blocks / seeds
    assert np.mean(variances) == pytest.approx(true, rel=0.1)
