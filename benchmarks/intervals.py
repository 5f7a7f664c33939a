"""What intervals cost: trials × elements × resamples, against ranking every resample anew.

    python benchmarks/intervals.py [--trials 100] [--resamples 10000]

Elements have the sizes of CAGI5's K562 challenge variants. Printed are the seconds and the memory of a mean Spearman over
elements with its paired differences, and how many times as long SciPy's ranking takes, extrapolated from a few resamples.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from nrtune.analysis.store.predictions import Predictions
from nrtune.analysis.uncertainty.bootstrap import draw_counts, position_blocks
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling

ELEMENTS = {"GP1BB": (869, 386), "HBB": (432, 176), "HBG1": (633, 275), "PKLR": (1025, 471)}
"""Variants and positions of each."""

LITERAL = 20
"""Resamples that the literal version ranks, of one trial."""


def campaign(trials: int, generator: np.random.Generator) -> list[Configuration]:
    """Trials whose predictions share a signal."""
    frames = []
    for element, (variants, positions) in ELEMENTS.items():
        pos = np.sort(generator.integers(0, positions, variants))
        value, confidence = generator.normal(size=variants), generator.random(variants) / 5
        frames.append(
            pd.DataFrame(
                {"element": element, "part": "challenge", "pos": pos, "value": value, "confidence": confidence}
            )
        )
    table = pd.concat(frames, ignore_index=True)
    found = []
    for number in range(trials):
        effect = table["value"] + 2 * generator.normal(size=len(table))
        found.append(
            Configuration(f"T{number}", (0,), (Predictions(None, {"cagi5": table.assign(variant_effect=effect)}),))
        )
    return found


def literal(configuration: Configuration, generator: np.random.Generator) -> float:
    """Seconds for one resample of all elements of one trial, by drawing rows and ranking them."""
    table = configuration.predictions[0].effects["cagi5"]
    assert table is not None
    started = time.perf_counter()
    for _, rows in table.groupby("element"):
        block = position_blocks(rows["pos"].to_numpy(), 10)
        for counts in draw_counts(int(block.max()) + 1, LITERAL, generator):
            drawn = np.repeat(np.arange(len(rows)), counts[block].astype(int))
            spearmanr(rows["variant_effect"].to_numpy()[drawn], rows["value"].to_numpy()[drawn])
    return (time.perf_counter() - started) / LITERAL


def main() -> None:
    """Run and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=10_000)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    configurations = campaign(arguments.trials, generator)
    started = time.perf_counter()
    resampler = Resampler(configurations, tuple(ELEMENTS), Resampling(resamples=arguments.resamples))
    resampled = resampler.metric("cagi5/challenge/spearman/all/mean")
    assert resampled is not None
    resampler.differences(resampled, 0)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ranked = literal(configurations[0], generator) * arguments.trials * arguments.resamples
    sys.stdout.write(
        f"{arguments.trials} trials, {len(ELEMENTS)} elements, {arguments.resamples} resamples: {seconds:.1f} s,"
        f" {memory:.0f} MB in all; ranking each resample: {ranked / seconds:.0f} times as long\n"
    )


if __name__ == "__main__":
    main()
