"""Resampled correlations and their intervals, against slow literal versions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats

from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.uncertainty.bootstrap import (
    draw_counts,
    pearson_samples,
    position_blocks,
    random_blocks,
    spearman_samples,
)
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.student import holm
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.randomness import derive_generator

MEAN = "cagi5/challenge/spearman/{}/mean"


def test_blocks_are_consecutive_positions():
    assert position_blocks(np.array([105, 103, 112, 113, 143]), 10).tolist() == [0, 0, 0, 1, 2]
    dealt = random_blocks(10, 4, np.random.default_rng(0))
    assert sorted(np.bincount(dealt).tolist()) == [2, 2, 3, 3]
    assert random_blocks(3, 40, np.random.default_rng(0)).max() == 2


def test_one_block_fewer_is_drawn_than_there_are():
    counts = draw_counts(7, 50, np.random.default_rng(0))
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 6).all()
    assert (counts == draw_counts(7, 50, np.random.default_rng(0))).all()
    # So that the spread of a mean is the unbiased estimate of its variance.
    values = np.random.default_rng(1).normal(size=7)
    means = draw_counts(7, 200_000, np.random.default_rng(2)) @ values / 6
    assert means.var() == pytest.approx(values.var(ddof=1) / 7, rel=0.02)


@pytest.mark.parametrize("decimals", [0, 6])
def test_samples_are_the_correlations_of_repeated_rows(decimals):
    generator = np.random.default_rng(3)
    n = 90
    value = generator.normal(size=n).round(1)
    predictions = np.stack([(value + generator.normal(size=n)).round(decimals), generator.normal(size=n), np.ones(n)])
    block = position_blocks(np.sort(generator.integers(0, 80, n)), 10)
    counts = draw_counts(int(block.max()) + 3, 40, generator)  # two blocks without a row
    spearman, pearson = (f(predictions, value, block, counts) for f in (spearman_samples, pearson_samples))
    for number, drawn in enumerate(counts):
        rows = np.repeat(np.arange(n), drawn[block].astype(int))
        for row in range(2):
            expected = stats.spearmanr(predictions[row][rows], value[rows]).statistic
            assert spearman[row, number] == pytest.approx(expected, abs=1e-10)
            expected = stats.pearsonr(predictions[row][rows], value[rows]).statistic
            assert pearson[row, number] == pytest.approx(expected, abs=1e-10)
    assert np.isnan(spearman[2]).all()
    assert np.isnan(pearson[2]).all()


def test_many_blocks_give_the_same():
    generator = np.random.default_rng(4)
    value = generator.normal(size=200).round(1)
    predictions = np.stack([value + generator.normal(size=200).round(1), np.ones(200)])
    block = np.sort(generator.integers(0, 30, 200))
    counts = draw_counts(30, 50, generator)
    few = spearman_samples(predictions, value, block, counts)
    many = spearman_samples(predictions, value, block, np.pad(counts, ((0, 0), (0, 100))))  # blocks without a row
    np.testing.assert_allclose(many, few, atol=1e-10)


def small_table(generator: np.random.Generator) -> pd.DataFrame:
    """Two elements in two parts; the second has too few high-confidence variants for a correlation."""
    frames = []
    for element, n, high in (("A", 60, 25), ("B", 45, 5)):
        for part in ("release", "challenge"):
            confidence = np.where(generator.permutation(n) < high, 0.5, 0.01)
            pos = np.sort(generator.integers(0, 70, n))
            value = generator.normal(size=n).round(1)
            frames.append(
                pd.DataFrame({"element": element, "part": part, "pos": pos, "value": value, "confidence": confidence})
            )
    return pd.concat(frames, ignore_index=True)


def small_test(generator: np.random.Generator) -> pd.DataFrame:
    n = 120
    return pd.DataFrame({"row": range(n), "activity": generator.normal(size=n), "aleatoric_std": generator.random(n)})


def trained(table: pd.DataFrame, test: pd.DataFrame, generator: np.random.Generator) -> Predictions:
    """Predictions with noise; the saturation mutagenesis study's table is the release part again, A being matched."""
    effect = table["value"] + generator.normal(size=len(table))
    prediction = test["activity"] + generator.normal(size=len(test))
    variants = table.assign(variant_effect=effect)
    satmut = variants[variants["part"] == "release"].reset_index(drop=True)
    satmut = satmut.assign(significant=satmut["confidence"] >= 0.1, matched=satmut["element"] == "A")
    return Predictions(
        test.assign(prediction=prediction),
        {"cagi5": variants, "satmut": satmut.drop(columns=["part", "confidence"])},
    )


@pytest.fixture(scope="module")
def compared() -> tuple[list[Configuration], Resampler]:
    generator = np.random.default_rng(4)
    table, test = small_table(generator), small_test(generator)
    configurations = [
        Configuration("one", (7,), (trained(table, test, generator),)),
        Configuration("three", (1, 2, 3), tuple(trained(table, test, generator) for _ in range(3))),
        Configuration("other three", (1, 2, 3), tuple(trained(table, test, generator) for _ in range(3))),
        Configuration("two", (1, 2), tuple(trained(table, test, generator) for _ in range(2))),
    ]
    return configurations, Resampler(configurations, ("A", "B"), Resampling(resamples=200, block=10))


def literal_member(one: Predictions, metric: str, counts: dict[str, np.ndarray], number: int) -> float:
    """One training's metric in one resample, by repeating the rows that were drawn."""
    parts = metric.split("/")
    if parts[0] == "satmut":
        parts = ["cagi5", "release", *parts[1:]]
    elif parts[0] != "cagi5":
        test = one.test
        assert test is not None
        block = random_blocks(len(test), 40, derive_generator(0, "blocks", "test", len(test)))
        rows = np.repeat(np.arange(len(test)), counts["test"][number][block].astype(int))
        drawn = test.iloc[rows]
        if metric == "noise/corr":
            return float(np.corrcoef((drawn["prediction"] - drawn["activity"]).abs(), drawn["aleatoric_std"])[0, 1])
        return float(stats.spearmanr(drawn["prediction"], drawn["activity"]).statistic)
    if parts[2] == "hc_lc_gap":
        prefix = metric.removesuffix("hc_lc_gap")
        high, low = (
            literal_member(one, f"{prefix}spearman/{stratum}/mean", counts, number) for stratum in ("hc", "lc")
        )
        return high - low
    found = []
    of_satmut = metric.startswith("satmut/")
    for element in ("A",) if of_satmut else ("A", "B"):
        table = one.effects["cagi5"]
        rows = table[(table["element"] == element) & (table["part"] == parts[1])]
        block = position_blocks(rows["pos"].to_numpy(), 10)
        wanted = {"all": rows["confidence"] >= 0, "hc": rows["confidence"] >= 0.1, "lc": rows["confidence"] < 0.1}
        chosen = wanted[parts[3]].to_numpy()
        if chosen.sum() <= 10:
            continue
        times = counts[f"{'satmut' if of_satmut else parts[1]}/{element}"][number][block].astype(int) * chosen
        drawn = rows.iloc[np.repeat(np.arange(len(rows)), times)]
        found.append(stats.spearmanr(drawn["variant_effect"], drawn["value"]).statistic)
    return float(np.nanmean(found))


@pytest.mark.parametrize(
    "metric",
    [MEAN.format("all"), MEAN.format("hc"), "cagi5/release/hc_lc_gap", "satmut/spearman/all/mean", "satmut/hc_lc_gap",
     "test/spearman", "noise/corr"],
)  # fmt: skip
def test_resampling_equals_its_literal_version(compared, metric):
    configurations, resampler = compared
    table = configurations[0].predictions[0].effects["cagi5"]
    assert table is not None
    counts = {}
    for key, part in (("release", "release"), ("challenge", "challenge"), ("satmut", "release")):
        for element in ("A", "B"):
            rows = table[(table["element"] == element) & (table["part"] == part)]
            blocks = int(position_blocks(rows["pos"].to_numpy(), 10).max()) + 1
            key = f"{key.partition('/')[0]}/{element}"
            counts[key] = draw_counts(blocks, 200, derive_generator(0, "resample", key, blocks))
    counts["test"] = draw_counts(40, 200, derive_generator(0, "resample", "test", 40))
    resampled = resampler.metric(metric)
    assert resampled is not None
    for row, configuration in enumerate(configurations):
        seeds = len(configuration.seeds)
        drawn = derive_generator(0, "replicates", *configuration.seeds)
        weights = draw_counts(seeds, 200, drawn) / max(seeds - 1, 1) if seeds > 1 else np.ones((200, 1))
        for number in range(0, 200, 19):
            members = [literal_member(one, metric, counts, number) for one in configuration.predictions]
            assert resampled.samples[row, number] == pytest.approx(float(weights[number] @ members), abs=1e-9)


def test_an_interval_is_students_t_with_the_seeds_own_part(compared):
    _, resampler = compared
    resampled = resampler.metric(MEAN.format("all"))
    assert resampled is not None
    interval = resampler.differences(resampled, 2)
    # Of configurations with the same seeds, seeds are paired: what counts is the spread of the differences.
    variance = (resampled.samples[1] - resampled.samples[2]).var(ddof=1)
    of_seeds = (resampled.of_seed[1] - resampled.of_seed[2]).var(ddof=1) / 3
    # What a seed does on a block is in the resamples three times, and in the truth once.
    assert resampled.apart is not None
    crossed = np.mean([one.var(ddof=1) for one in resampled.apart[1] - resampled.apart[2]]) / 2
    variance = max(variance - 2 * crossed, of_seeds)
    of_blocks = max(variance - of_seeds, 0)
    freedom = (of_seeds + of_blocks) ** 2 / (of_seeds**2 / 2 + of_blocks**2 / resampled.block_freedom)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    change = resampled.of_seed[1].mean() - resampled.of_seed[2].mean()
    assert interval.estimate[1] == pytest.approx(change)
    assert (interval.low[1], interval.high[1]) == (pytest.approx(change - half), pytest.approx(change + half))
    assert interval.p[1] == pytest.approx(2 * stats.t.sf(abs(change) / math.sqrt(variance), freedom))
    # Against other seeds they are not: both spreads count.
    unpaired = resampler.differences(resampled, 3)
    assert unpaired.high[1] > unpaired.estimate[1] > unpaired.low[1]
    assert (interval.p < 0.05).tolist() == ((interval.low > 0) | (interval.high < 0)).tolist()


def test_no_value_s_interval_leaves_what_a_correlation_can_be(compared):
    configurations, _ = compared
    table = configurations[0].predictions[0].effects["cagi5"]
    assert table is not None
    few = table[(table["element"] == "A") & (table["pos"] < 25)].assign(confidence=0.5)
    noisy = few.assign(variant_effect=few["value"] + 0.3 * np.random.default_rng(8).normal(size=len(few)))
    one = Configuration("few", (0,), (Predictions(None, {"cagi5": noisy}),))
    resampler = Resampler([one], ("A",), Resampling(resamples=200))
    resampled = resampler.metric(MEAN.format("hc"))
    assert resampled is not None
    assert resampler.interval(resampled).high[0] <= 1


def test_a_trial_differs_from_itself_by_nothing(compared):
    _, resampler = compared
    resampled = resampler.metric("test/spearman")
    assert resampled is not None
    interval = resampler.differences(resampled, 0)
    assert (interval.estimate[0], interval.low[0], interval.high[0], interval.p[0]) == (0, 0, 0, 1)
    assert interval.low[0] <= 0 <= interval.high[0]


def test_an_interval_does_not_depend_on_the_other_trials(compared):
    configurations, resampler = compared
    alone = Resampler(configurations[1:2], ("A", "B"), Resampling(resamples=200, block=10)).metric(MEAN.format("all"))
    together = resampler.metric(MEAN.format("all"))
    assert alone is not None
    assert together is not None
    assert alone.samples[0] == pytest.approx(together.samples[1], abs=1e-12)


def test_what_predictions_do_not_tell(compared):
    configurations, resampler = compared
    assert resampler.metric("val/spearman") is None
    assert resampler.metric("cagi5/challenge/spearman/all/NONE") is None
    assert resampler.metric("cagi5/challenge/spearman/hc/B") is None
    table = configurations[0].predictions[0].effects["cagi5"]
    assert table is not None
    other = Configuration("other", (0,), (Predictions(None, {"cagi5": table.assign(value=0.0)}),))
    with pytest.raises(UserError, match="other: was not scored on the same rows as one"):
        Resampler([configurations[0]._replace(predictions=(Predictions(None, {"cagi5": table}),)), other], ("A",))
    for wrong in ({"resamples": 10}, {"block": 0}, {"level": 1.0}):
        with pytest.raises(UserError):
            Resampling(**wrong)


def test_holm():
    # Sorted 0.01 0.02 0.04: times 3, 2, 1; never less than the one before.
    assert holm(np.array([0.04, 0.01, math.nan, 0.02])).tolist() == pytest.approx(
        [0.04, 0.03, math.nan, 0.04], nan_ok=True
    )
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]


# Simulated variants whose truth is known: a signal along positions, shared by the three alleles of each, and their own.

LENGTHS = {"A": 290, "B": 150, "C": 210, "D": 350}


def smooth(generator: np.random.Generator, length: int) -> np.ndarray:
    """A signal of variance 1 whose neighbours are alike over a base pair or two."""
    signal = ndimage.gaussian_filter1d(generator.normal(size=length), 1.0, mode="wrap")
    return signal / math.sqrt(float((ndimage.gaussian_filter1d(np.eye(1, 101, 50)[0], 1.0) ** 2).sum()))


def variants(generator: np.random.Generator, length: int, models: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, measured values, and predictions (models, n) that are all as good."""
    pos = np.repeat(np.arange(length), 3)
    truth = smooth(generator, length)[pos] + 0.6 * generator.normal(size=3 * length)
    shared = 0.5 * truth + 0.7 * smooth(generator, length)[pos]
    noise = [0.6 * smooth(generator, length)[pos] + 0.5 * generator.normal(size=3 * length) for _ in range(models)]
    return pos, truth + 0.5 * generator.normal(size=3 * length), shared + np.stack(noise)


def simulated(generator: np.random.Generator, models: int, part: str = "challenge") -> list[pd.DataFrame]:
    frames, predictions = [], []
    for element, length in LENGTHS.items():
        pos, value, effects = variants(generator, length, models)
        frames.append(pd.DataFrame({"element": element, "part": part, "pos": pos, "value": value, "confidence": 0.2}))
        predictions.append(effects)
    table = pd.concat(frames, ignore_index=True)
    return [table.assign(variant_effect=effect) for effect in np.concatenate(predictions, axis=1)]


def of_one_seed(name: str, table: pd.DataFrame) -> Configuration:
    return Configuration(name, (0,), (Predictions(None, {"cagi5": table}),))


def coverage(campaigns: int) -> tuple[float, float]:
    """How often the interval of a value, and of the difference of two equally good models, covers the truth."""
    generator = np.random.default_rng(5)
    _, value, (effect,) = variants(generator, 200_000, 1)
    true = float(stats.spearmanr(effect, value).statistic)
    hits = np.zeros(2)
    for _ in range(campaigns):
        configurations = [of_one_seed(str(n), table) for n, table in enumerate(simulated(generator, 2))]
        resampler = Resampler(configurations, tuple(LENGTHS), Resampling(resamples=300))
        resampled = resampler.metric(MEAN.format("all"))
        assert resampled is not None
        own, difference = resampler.interval(resampled), resampler.differences(resampled, 0)
        hits += [own.low[0] <= true <= own.high[0], difference.low[1] <= 0 <= difference.high[1]]
    return tuple(hits / campaigns)


def test_intervals_cover_the_truth_roughly():
    of_value, of_difference = coverage(40)
    assert 0.85 <= of_value
    assert 0.85 <= of_difference


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_intervals_cover_the_truth_at_their_nominal_rate():
    of_value, of_difference = coverage(1500)
    assert of_value == pytest.approx(0.95, abs=0.03)
    assert of_difference == pytest.approx(0.95, abs=0.03)


def significant_winners(campaigns: int, seeds: int) -> float:
    """The share of campaigns of equally good methods in which one seems better than the baseline.

    A training's error has a part of its own, along positions. Six methods are selected on release variants; the best
    three and the baseline are compared on challenge variants, from their own training (seeds 1) or from fresh ones.
    """
    generator, found = np.random.default_rng(6), 0
    methods = 7
    for _ in range(campaigns):
        release = simulated(generator, methods, "release")
        skill = [Resampler([of_one_seed("", table)], tuple(LENGTHS), Resampling(resamples=100)) for table in release]
        scores = [m.estimate[0] for s in skill if (m := s.metric("cagi5/release/spearman/all/mean")) is not None]
        finalists = [0, *(1 + np.argsort(scores[1:])[::-1][:3])]
        tables = seeded(generator, methods, seeds)
        configurations = [
            Configuration(str(n), tuple(range(seeds)), tuple(Predictions(None, {"cagi5": one}) for one in tables[n]))
            for n in finalists
        ]
        resampler = Resampler(configurations, tuple(LENGTHS), Resampling(resamples=300))
        resampled = resampler.metric(MEAN.format("all"))
        assert resampled is not None
        difference = resampler.differences(resampled, 0)
        corrected = holm(difference.p[1:])
        found += bool(((corrected < 0.05) & (difference.estimate[1:] > 0)).any())
    return found / campaigns


def seeded(generator: np.random.Generator, methods: int, seeds: int) -> Sequence[Sequence[pd.DataFrame]]:
    """Tables of each method and seed: some seeds learn more than others, whatever the method."""
    tables = simulated(generator, methods * seeds)
    for table in tables:
        table["variant_effect"] += 0.35 * generator.normal() * table["value"]
    return [tables[method * seeds : (method + 1) * seeds] for method in range(methods)]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_replication_does_not_invent_winners():
    """With single trainings luck looks like skill; with five fresh seeds in 5 % of campaigns at most."""
    replicated, single = significant_winners(400, 5), significant_winners(100, 1)
    assert replicated <= 0.05
    assert single > 0.2
