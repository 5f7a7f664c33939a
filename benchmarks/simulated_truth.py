"""Which methods come nearer to the truth than plain MSE, where the noise differs much between sequences.

    python benchmarks/simulated_truth.py [--encoder factorized] [--seeds 5] [--jobs 2]

Each method trains on simulated lentiMPRA data (a data set and a training seed each, the same for all methods), with the
same number of epochs, and is scored by the Spearman correlation of its predictions with the noise-free activity of the
test sequences. Printed is each method's mean difference from the baseline, paired by seed, its 95 % t interval, and its
p-value after Holm's correction over the methods.
"""

from __future__ import annotations

import argparse
import math
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy import stats

from nrtune import TrainingData, TrialConfig, fit, preset, simulate
from nrtune.analysis.uncertainty.student import holm
from nrtune.search_spaces import FAMILIES
from nrtune.trainables.training.loop import Diverged

FAMILY_NAMES = (
    "baseline",
    "rank_stability",
    "distributional",
    "noise_gated",
    "contrastive",
    "quantile_sampling",
    "curriculum",
    "hard_negative",
)
BEYOND = {
    "quantiles, noise_weight 1": {"sampler": "quantile_stratified", "sampler.noise_weight": 1.0},
    "hard negatives, T 0.1": {"sampler": "hard_negative", "sampler.temperature": 0.1},
}
"""Samplers that heed the noise more than the study's did."""

BASELINE = "B1_baseline_mse"
METRIC = "test/noise_free_spearman"
SEQUENCES, NOISE, NOISE_SPREAD = 4000, 2.0, 1.2
"""Median replicate std 1 (log2), its natural logarithm's standard deviation 1.2: a fifth of the sequences have 2.7 times
the median noise or more."""


def methods(encoder: str, epochs: int) -> dict[str, dict[str, object]]:
    """Every distinct published configuration of the families that vary loss or sampler, and BEYOND, on one encoder."""
    found: dict[str, dict[str, object]] = {}
    for name in FAMILY_NAMES:
        family = FAMILIES.get(name).override({"encoder": encoder})
        for published, values in family.starting_points():
            flat = {**preset("small", encoder), **family.flat(values), "epochs": epochs}
            found[published.removesuffix(" (changed)")] = TrialConfig.from_flat(flat).to_flat()
    for name, parameters in BEYOND.items():
        flat = {**preset("small", encoder), **parameters, "epochs": epochs}
        found[name] = TrialConfig.from_flat(flat).to_flat()
    return found


def truth_of(job: tuple[str, dict[str, object], int]) -> tuple[str, int, float, float]:
    """Train one method on one seed: its correlation with the truth and with the measurements; NaN where it diverged."""
    import torch

    torch.set_num_threads(1)
    name, flat, seed = job
    simulated = simulate(SEQUENCES, seed=seed, noise=NOISE, noise_spread=NOISE_SPREAD)
    try:
        metrics = fit(TrialConfig.from_flat({**flat, "seed": seed}), TrainingData(simulated.dataset)).metrics
    except Diverged:
        return name, seed, math.nan, math.nan
    return name, seed, metrics[METRIC], metrics["test/spearman"]


def main() -> None:
    """Run and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="factorized")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    chosen = methods(arguments.encoder, arguments.epochs)
    jobs = [(name, flat, seed) for seed in range(arguments.seeds) for name, flat in chosen.items()]
    truth = {name: np.full(arguments.seeds, math.nan) for name in chosen}
    measured = {name: np.full(arguments.seeds, math.nan) for name in chosen}
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for done, (name, seed, value, of_measured) in enumerate(pool.map(truth_of, jobs), start=1):
            truth[name][seed], measured[name][seed] = value, of_measured
            sys.stderr.write(f"\r{done}/{len(jobs)} {name} seed {seed}: {value:.3f}   ")
    sys.stderr.write("\n")
    print_table(arguments.encoder, arguments.epochs, truth, measured)


def print_table(encoder: str, epochs: int, truth: dict[str, np.ndarray], measured: dict[str, np.ndarray]) -> None:
    """Print every method, the best first; a method that diverged has its seeds counted and no interval."""
    differences = {name: values - truth[BASELINE] for name, values in truth.items() if name != BASELINE}
    whole = [name for name, values in differences.items() if np.isfinite(values).all()]
    p = holm(np.array([stats.ttest_1samp(differences[name], 0).pvalue for name in whole]))
    adjusted = dict(zip(whole, p, strict=True))
    write = sys.stdout.write
    write(f"{encoder}, {epochs} epochs, {len(truth[BASELINE])} seeds; baseline {np.mean(truth[BASELINE]):.3f}\n\n")
    write("| method | truth | measured | difference from the baseline, 95 % | p (Holm) |\n|---|---|---|---|---|\n")
    for name in sorted(truth, key=lambda name: -np.nanmean(truth[name])):
        cells = [name, f"{np.nanmean(truth[name]):.3f}", f"{np.nanmean(measured[name]):.3f}"]
        if name in adjusted:
            low, high = stats.t.interval(
                0.95, len(differences[name]) - 1, differences[name].mean(), stats.sem(differences[name])
            )
            cells += [f"{differences[name].mean():+.3f} ({low:+.3f} to {high:+.3f})", f"{adjusted[name]:.3g}"]
        elif name == BASELINE:
            cells += ["–", "–"]
        else:
            cells += [f"diverged in {np.isnan(truth[name]).sum()} of {len(truth[name])} seeds", "–"]
        write(f"| {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
