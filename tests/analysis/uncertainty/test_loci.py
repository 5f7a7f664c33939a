"""Means over loci: the same definition in workers and in resamples, blocks drawn jointly, intervals across elements."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.signal import lfilter

from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.uncertainty.across_loci import difference_across_loci, value_across_loci
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.student import Resampled
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.evaluation.predictions import variant_metrics

ELEMENTS = {"L": ("1", 100), "L.2": ("1", 150), "M": ("2", 100), "N": ("3", 100), "O": ("3", 900)}
"""Chromosome and first position of each: the first two overlap."""


def variant_set(generator: np.random.Generator, n: int = 120) -> VariantSet:
    """Elements of n variants over n / 2 positions; N has 10 of high confidence."""
    names = list(ELEMENTS)
    empty = VariantSet.from_sequences(
        benchmark="satmut",
        title="Some",
        name="some",
        length=1,
        ref=["A"] * n * len(names),
        alt=["C"] * n * len(names),
        value=generator.normal(size=n * len(names)),
        element=np.repeat(names, n).tolist(),
    )
    high = generator.random((len(names), n)) < 0.4
    high[names.index("N")] = np.arange(n) < 10
    place = np.arange(n) // 2
    return dataclasses.replace(
        empty,
        strata=("hc", "lc"),
        stratum=(~high).ravel().astype(np.uint8),
        chrom=np.repeat([chrom for chrom, _ in ELEMENTS.values()], n),
        pos=np.concatenate([first + place for _, first in ELEMENTS.values()]),
        block=None,
    )


def configurations(variants: VariantSet, effects: dict[str, list[np.ndarray]]) -> list[Configuration]:
    table = variants.table()
    return [
        Configuration(
            name,
            tuple(range(len(of_seeds))),
            tuple(Predictions(None, {"satmut": table.assign(variant_effect=effect)}) for effect in of_seeds),
        )
        for name, of_seeds in effects.items()
    ]


def resampler_of(variants: VariantSet, effects: dict[str, list[np.ndarray]], **how: int) -> Resampler:
    return Resampler(configurations(variants, effects), (), Resampling(resamples=200, **how))


@pytest.fixture(scope="module")
def some() -> tuple[VariantSet, dict[str, list[np.ndarray]]]:
    """A model, one whose predictions are constant in two elements, and one that predicts a constant everywhere."""
    generator = np.random.default_rng(0)
    variants = variant_set(generator)
    effects = [variants.value + generator.normal(size=len(variants)) for _ in range(3)]
    constant = effects[0].copy()
    for element in ("L.2", "M"):
        constant[variants.rows(element)] = 0.5
    return variants, {"model": effects, "constant in two": [constant], "constant": [np.ones(len(variants))]}


def test_workers_and_resamples_have_one_definition(some):
    variants, effects = some
    assert variants.loci == {"L": "L", "L.2": "L", "M": "M", "N": "N", "O": "O"}
    resampler = resampler_of(variants, effects)
    metrics = [name for name in variant_metrics(variants, effects["model"][0]) if "/n/" not in name]
    assert "satmut/spearman/hc/N" in metrics
    for name in metrics:
        resampled = resampler.metric(name)
        for number, of_seeds in enumerate(effects.values()):
            expected = [variant_metrics(variants, effect)[name] for effect in of_seeds]
            if resampled is None:
                assert all(math.isnan(value) for value in expected)
            else:
                assert resampled.of_seed[number] == pytest.approx(expected, abs=1e-12, nan_ok=True), name


def test_a_mean_is_over_loci_of_which_undefined_ones_count_as_zero(some):
    variants, effects = some
    of = {e: stats.spearmanr(effects["model"][0][variants.rows(e)], variants.value[variants.rows(e)]).statistic
          for e in ELEMENTS}  # fmt: skip
    resampled = resampler_of(variants, effects).metric("satmut/spearman/all/mean")
    assert resampled is not None
    assert resampled.of_seed[0][0] == pytest.approx(((of["L"] + of["L.2"]) / 2 + of["M"] + of["N"] + of["O"]) / 4)
    assert resampled.estimate[1] == pytest.approx((of["L"] / 2 + of["N"] + of["O"]) / 4)
    assert resampled.estimate[2] == 0
    assert not resampled.samples[2].any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["spearman", "pearson"])
def test_predicting_nothing_for_the_worst_element_never_improves(seed, kind):
    """Of elements that are predicted at least as well as by chance: no effect at all is better than the wrong sign."""
    generator = np.random.default_rng(seed)
    variants = variant_set(generator)
    effect = variants.value + 2 * generator.normal(size=len(variants))
    before = variant_metrics(variants, effect)
    values = {element: before[f"satmut/{kind}/all/{element}"] for element in ELEMENTS}
    worst = min((e for e in values if values[e] >= 0), key=lambda e: values[e])
    zeroed = effect.copy()
    zeroed[variants.rows(worst)] = 0
    after = variant_metrics(variants, zeroed)
    weight = 1 / 8 if worst.startswith("L") else 1 / 4
    name = f"satmut/{kind}/all/mean"
    assert after[name] == pytest.approx(before[name] - weight * values[worst])
    resampled = resampler_of(variants, {"before": [effect], "after": [zeroed]}).metric(name)
    assert resampled is not None
    assert resampled.estimate[1] <= resampled.estimate[0]


def test_a_locus_measured_twice_is_no_more_evidence_than_once():
    """Twice the same rows under two names: value and interval are those of one."""
    generator = np.random.default_rng(1)
    variants = variant_set(generator, 300)
    once = variants.subset(variants.element != 1, ("L", "M", "N", "O"))
    first = variants.rows("L")
    twice = dataclasses.replace(
        variants, pos=variants.pos.copy(), value=variants.value.copy(), stratum=variants.stratum.copy()
    )
    again = variants.rows("L.2")
    for column in (twice.pos, twice.value, twice.stratum):
        column[again] = column[first]
    effect = variants.value + generator.normal(size=len(variants))
    effect[again] = effect[first]
    found = []
    for of, rows in ((twice, np.ones(len(twice), bool)), (once, variants.element != 1)):
        resampler = resampler_of(of, {"one": [effect[rows]], "other": [-effect[rows]]})
        resampled = resampler.metric("satmut/spearman/all/mean")
        assert resampled is not None
        found.append((resampled, resampler.interval(resampled)))
    (of_two, two), (of_one, one) = found
    np.testing.assert_allclose(of_two.samples, of_one.samples, atol=1e-12)
    assert (two.low[0], two.high[0]) == (pytest.approx(one.low[0]), pytest.approx(one.high[0]))
    assert of_two.blocks == of_one.blocks


def test_the_variance_of_a_value_is_the_jackknife_s(some):
    """Of the mean over seeds without each block, less what a seed does on a block, which the seeds' own variance holds."""
    variants, effects = some
    found = resampler_of(variants, effects, block=15).metric("satmut/spearman/all/mean")
    assert found is not None
    total, crossed, sizes = 0.0, 0.0, []
    loci = {"L": ("L", "L.2"), "M": ("M",), "N": ("N",), "O": ("O",)}
    for elements in loci.values():
        rows = np.concatenate([variants.rows(element) for element in elements])
        block = (variants.pos - variants.pos[rows].min()) // 15
        left = np.zeros((3, block[rows].max() + 1))
        for number in range(left.shape[1]):
            for seed, effect in enumerate(effects["model"]):
                for element in elements:
                    kept = [row for row in variants.rows(element) if block[row] != number]
                    left[seed, number] += (
                        stats.spearmanr(effect[kept], variants.value[kept]).statistic / len(elements) / 4
                    )
        part = (left.shape[1] - 1) / left.shape[1]
        centred = left - left.mean(axis=1, keepdims=True)
        sizes.append(left.shape[1])
        total += part * (centred.mean(axis=0) ** 2).sum()
        crossed += part * ((centred - centred.mean(axis=0)) ** 2).sum(axis=1).mean() / 2
    assert sizes == [8, 4, 4, 4]
    assert found.value_variance is not None
    assert found.value_variance[0] == pytest.approx(max(total - crossed, 0))


def resampled_of(of_locus: list[np.ndarray], unseen: list[tuple[float, float]] | None = None) -> Resampled:
    """Configurations of (seeds, loci) values each; nothing of their variants."""
    of_seed = tuple(one.mean(axis=1) for one in of_locus)
    estimate = np.array([one.mean() for one in of_seed])
    seeds = tuple(tuple(range(10 * n, 10 * n + len(one))) for n, one in enumerate(of_seed))
    more = None if unseen is None else np.array(unseen)
    return Resampled(
        estimate, np.zeros((len(estimate), 2)), of_seed, seeds, 1, seed_variance=more, of_locus=tuple(of_locus)
    )


def test_across_elements_it_is_students_t_where_seeds_change_nothing():
    one, base = np.array([[0.5, 0.3, 0.4, 0.1]]), np.array([[0.2, 0.25, 0.3, 0.0]])
    difference = difference_across_loci(resampled_of([one, base]), 1, 0.95)
    assert difference is not None
    low, high = stats.t.interval(0.95, 3, (one - base).mean(), stats.sem((one - base)[0]))
    assert (difference.low[0], difference.high[0]) == (pytest.approx(low), pytest.approx(high))
    assert difference.p[0] == pytest.approx(stats.ttest_rel(one[0], base[0]).pvalue)
    assert (difference.low[1], difference.high[1]) == (0, 0)
    value = value_across_loci(resampled_of([one, base]), 0.95)
    assert value is not None
    assert value.low[0] == pytest.approx(stats.t.interval(0.95, 3, one.mean(), stats.sem(one[0]))[0])
    assert value_across_loci(resampled_of([one[:, :2], base[:, :2]]), 0.95) is None


def test_across_elements_seeds_count_that_move_all_of_them():
    still = difference_across_loci(resampled_of([np.ones((1, 4)), np.zeros((1, 4))]), 1, 0.95)
    moved = difference_across_loci(
        resampled_of([np.ones((1, 4)), np.zeros((1, 4))], unseen=[(0.01, 20.0), (0.01, 20.0)]), 1, 0.95
    )
    assert still is not None
    assert moved is not None
    assert still.high[0] - still.low[0] == 0
    assert moved.error[0] == pytest.approx(math.sqrt(0.02))


@pytest.mark.parametrize("seeds", [1, 3, 10])
@pytest.mark.parametrize("of_training", [0.0, 0.05])
def test_intervals_across_elements_cover_the_difference_of_all_that_there_could_be(seeds, of_training):
    """Elements, trainings and both together differ by chance; the variance over trainings of a single one is known."""
    generator, hits, campaigns = np.random.default_rng(2), 0, 2000
    unseen = [(of_training**2 + 0.03**2 / 4, 30.0)] * 2 if seeds == 1 else None
    for _ in range(campaigns):
        shape = (2, seeds, 4)
        element = 0.1 * generator.normal(size=(1, 1, 4)) + 0.05 * generator.normal(size=(2, 1, 4))
        values = element + of_training * generator.normal(size=(2, seeds, 1)) + 0.03 * generator.normal(size=shape)
        found = difference_across_loci(resampled_of(list(values), unseen), 1, 0.95)
        assert found is not None
        hits += bool(found.low[0] <= 0 <= found.high[0])
    assert hits / campaigns == pytest.approx(0.95, abs=0.03)  # of which 0.0146 is chance, three standard errors


def test_values_take_longer_blocks_than_differences_of_like_models():
    generator = np.random.default_rng(3)
    variants = variant_set(generator, 600)
    n = len(variants)
    truth, beside = (np.repeat(lfilter([1], [1, -0.95], generator.normal(size=n // 2)), 2) for _ in range(2))
    of_value = dataclasses.replace(variants, value=truth + generator.normal(size=n))
    effects = {str(number): [0.5 * truth + beside + 0.3 * generator.normal(size=n)] for number in range(2)}
    resampled = resampler_of(of_value, effects).metric("satmut/pearson/all/mean")
    assert resampled is not None
    assert resampled.blocks is not None
    assert resampled.blocks[0] > 40
    assert resampled.blocks[1] < 25
    fixed = resampler_of(of_value, effects, block=25).metric("satmut/pearson/all/mean")
    assert fixed is not None
    assert fixed.blocks == (25, 25)


def test_clusters_of_test_sequences_are_drawn_whole():
    """Each sequence twice: with its cluster the standard error is that of one copy, without it is too small by √2."""
    generator = np.random.default_rng(4)
    activity = generator.normal(size=400)
    table = pd.DataFrame({"activity": activity, "prediction": activity + generator.normal(size=400)})
    twice = pd.concat([table, table], ignore_index=True)
    errors = []
    for one in (twice.assign(cluster=np.tile(np.arange(400), 2)), twice, table):
        one = one.assign(row=np.arange(len(one)))
        resampler = Resampler([Configuration("one", (0,), (Predictions(one),))], (), Resampling(resamples=2000))
        resampled = resampler.metric("test/spearman")
        assert resampled is not None
        errors.append(float(resampler.interval(resampled).error[0]))
    assert errors[0] / errors[2] == pytest.approx(1, abs=0.1)
    assert errors[1] / errors[2] == pytest.approx(math.sqrt(0.5), abs=0.1)
