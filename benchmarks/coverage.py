"""How often intervals cover the truth, on the real layout of CAGI5 under the autocorrelation of published predictions.

    python benchmarks/coverage.py [--campaigns 1000] [--seeds 3,5,10] [--blocks chosen,10] [--cagi5 FOLDER]

Elements, positions and alleles are those of K562's challenge variants. Two configurations that are equally good are trained with
some seeds each. Their predictions, and the measured values, follow signals along positions, loud in some stretches and faint in
others; a model learns more of some elements than of others, and a training more than the next. The parameters are such that the
influence function of the mean Spearman correlation has nearly the autocorrelation, and value, difference and seeds have nearly
the spread, that were measured on the predictions of 17 published losses (below, and docs/LOG.md). Printed is, of each kind of
interval, the share that covers the truth, in percent with its standard error, and the mean length of blocks in base pairs.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.uncertainty.across_loci import difference_across_loci, value_across_loci
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.student import Resampled
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5
from nrtune.trainables.evaluation.metrics import spearman

METRIC = "cagi5/challenge/spearman/all/mean"
RESAMPLES = 500

LONG = 400_000
"""Positions of the element that the true correlation is computed on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """What is simulated, in units of the standard deviation of a signal that alleles of a position share.

    reach, own_reach: base pairs over which the autocorrelation of a signal that models share, and of a model's own, falls to 1/e.
    loudness, loud_reach: standard deviation of the logarithm of the signals' amplitude, and its reach. of_allele: of what alleles
    do not share. own: of a model's own signal, and of a training's. learned: what predictions hold of the true signal;
    by_element, by_model, by_training, by_both: its standard deviations over elements, over what a model makes of each, over
    trainings, and over what a training makes of each.
    """

    reach: float = 18.0
    own_reach: float = 2.0
    loudness: float = 0.5
    loud_reach: float = 30.0
    of_allele: float = 0.7
    own: float = 0.19
    learned: float = 0.6
    by_element: float = 0.25
    by_model: float = 0.05
    by_training: float = 0.025
    by_both: float = 0.03

    def along(self, size: int, generator: np.random.Generator, reach: float) -> np.ndarray:
        """A stationary signal (size,) of variance 1 whose autocorrelation falls exponentially."""
        phi = math.exp(-1 / reach)
        noise = generator.normal(size=size) * math.sqrt(1 - phi**2)
        noise[0] /= math.sqrt(1 - phi**2)
        signal: np.ndarray = lfilter([1], [1, -phi], noise)
        return signal

    def variants(
        self, place: np.ndarray, learned: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values (n,) and predictions (models, seeds, n) of variants at places (n,); learned: (models, seeds)."""
        size, n = int(place.max()) + 1, len(place)
        amplitude = np.exp(self.loudness * self.along(size, generator, self.loud_reach))[place]

        def signal(reach: float) -> np.ndarray:
            shared = self.along(size, generator, reach)[place]
            return amplitude * (shared + self.of_allele * generator.normal(size=n))

        truth, beside = signal(self.reach), signal(self.reach)
        value = truth + self.of_allele * generator.normal(size=n)
        models, seeds = learned.shape
        own = [[signal(self.own_reach) for _ in range(seeds)] for _ in range(models)]
        of_model = np.stack([signal(self.own_reach) for _ in range(models)])[:, None]
        return value, learned[:, :, None] * truth + beside + self.own * (of_model + np.array(own))

    def true_value(self, *, alike: bool) -> float:
        """The mean Spearman correlation over trainings and models, of elements that are alike or over all that there could be."""
        generator, place = np.random.default_rng(3), np.repeat(np.arange(LONG // 3), 3)
        grid = np.linspace(self.learned - 1.6, self.learned + 1.6, 9)
        found = []
        for learned in grid:
            value, predictions = self.variants(place, np.full((1, 1), learned), np.random.default_rng(7))
            found.append(spearman(predictions[0, 0], value))
        fit = np.polynomial.Polynomial.fit(grid, found, 5)
        spread = math.hypot(self.by_training, self.by_both, *(() if alike else (self.by_element, self.by_model)))
        return float(fit(self.learned + spread * generator.normal(size=200_000)).mean())

    def campaign(
        self, layout: dict[str, np.ndarray], seeds: int, generator: np.random.Generator, *, alike: bool
    ) -> list[Configuration]:
        """Two equally good configurations. alike: whether as much is learned of every element, but for by_both."""
        frames, of_trainings = [], []
        training = self.by_training * generator.normal(size=(2, seeds))
        for number, (element, pos) in enumerate(layout.items()):
            of_element, of_model = self.by_element * generator.normal(), self.by_model * generator.normal(size=(2, 1))
            learned = self.learned + training + self.by_both * generator.normal(size=(2, seeds))
            value, predictions = self.variants(
                pos - pos.min(), learned if alike else learned + of_element + of_model, generator
            )
            frames.append(pd.DataFrame({"element": element, "chrom": str(number), "part": "challenge", "pos": pos,
                                        "value": value, "confidence": 0.2}))  # fmt: skip
            of_trainings.append(predictions)
        table, effects = pd.concat(frames, ignore_index=True), np.concatenate(of_trainings, axis=2)
        return [
            Configuration(
                str(model),
                tuple(range(model * seeds, (model + 1) * seeds)),
                tuple(Predictions(None, {"cagi5": table.assign(variant_effect=one)}) for one in of_model),
            )
            for model, of_model in enumerate(effects)
        ]


def resampled(
    found: list[Configuration], layout: dict[str, np.ndarray], block: int | None, resamples: int
) -> tuple[Resampler, Resampled]:
    """The metric of some configurations."""
    resampler = Resampler(found, tuple(layout), Resampling(resamples=resamples, block=block))
    metric = resampler.metric(METRIC)
    assert metric is not None
    return resampler, metric


def coverage(
    layout: dict[str, np.ndarray], seeds: int, campaigns: int, blocks: Sequence[int | None]
) -> dict[str, float]:
    """By what is measured, the share of intervals that cover the truth, in percent, and mean lengths of blocks."""
    world, generator = World(), np.random.default_rng([campaigns, seeds])
    of_alike, of_all = world.true_value(alike=True), world.true_value(alike=False)
    totals: dict[str, float] = defaultdict(float)
    for _ in range(campaigns):
        found = world.campaign(layout, seeds, generator, alike=True)
        for block in blocks:
            resampler, metric = resampled(found, layout, block, RESAMPLES)
            own, change = resampler.interval(metric), resampler.differences(metric, 0)
            assert metric.blocks is not None
            kind = f"blocks of {block} bp" if block else "blocks chosen"
            totals[f"value, {kind}"] += 100 * (own.low[0] <= of_alike <= own.high[0])
            totals[f"improvement, {kind}"] += 100 * (change.low[1] <= 0 <= change.high[1])
            if block is None:
                totals["length for values"] += metric.blocks[0]
                totals["length for differences"] += metric.blocks[1]
        # Elements' own values need no resamples.
        _, metric = resampled(world.campaign(layout, seeds, generator, alike=False), layout, 100, 100)
        own_across, change_across = value_across_loci(metric, 0.95), difference_across_loci(metric, 0, 0.95)
        assert own_across is not None
        assert change_across is not None
        totals["value, across elements"] += 100 * (own_across.low[0] <= of_all <= own_across.high[0])
        totals["improvement, across elements"] += 100 * (change_across.low[1] <= 0 <= change_across.high[1])
    return {name: total / campaigns for name, total in totals.items()}


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--seeds", default="3,5,10")
    parser.add_argument("--blocks", default="chosen", help="base pairs, or chosen, each after a comma")
    data = os.environ.get("NRTUNE_TEST_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--cagi5", type=Path, default=Path(data) / "cagi5")
    arguments = parser.parse_args()
    if not arguments.cagi5.is_dir():
        sys.stdout.write(f"{arguments.cagi5}: no such folder; give that of CAGI5's files\n")
        return
    variants = read_cagi5(arguments.cagi5)
    layout = {element: np.sort(variants.pos[variants.rows(element, "challenge")]) for element in variants.matched}
    blocks = [None if word == "chosen" else int(word) for word in arguments.blocks.split(",")]
    seeds = [int(word) for word in arguments.seeds.split(",")]
    found = {count: coverage(layout, count, arguments.campaigns, blocks) for count in seeds}
    error = 100 * math.sqrt(0.95 * 0.05 / arguments.campaigns)
    sys.stdout.write(f"{arguments.campaigns} campaigns, standard error {error:.1f} at 95 %\n\n")
    sys.stdout.write(
        f"| % that cover | {' | '.join(f'{count} seeds' for count in seeds)} |\n|---|{'---|' * len(seeds)}\n"
    )
    for name in found[seeds[0]]:
        sys.stdout.write(f"| {name} | {' | '.join(f'{found[count][name]:.1f}' for count in seeds)} |\n")


if __name__ == "__main__":
    main()
