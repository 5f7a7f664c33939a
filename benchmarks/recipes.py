"""What each option of a recipe, and bf16, costs an epoch and gains in accuracy: trainings side by side, over the same seeds.

    python benchmarks/recipes.py [--data FILE] [--encoder dream_rnn] [--ways study,field] [--epochs 4] [--seeds 3]

The trainings of a seed take one epoch in turn, on one thread. A ratio is of an epoch's seconds, validation included, to
those of the first way's epoch beside it: the median over epochs and seeds. On a CPU they are the process's own, so that a
busy machine tells nothing.
Accuracy is the best epoch's validation Spearman; the difference from the first way is paired by seed.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from untaken_recipes import UNTAKEN

from nrtune.orchestrator.state.recipes import RECIPES
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData

WAYS: Mapping[str, Mapping[str, Any]] = {
    "study": {},
    "reverse_complement": {"reverse_complement": True},
    "both_strands": {"both_strands": True},
    "standardise": {"standardise": True},
    "decay_norms": {"decay_norms": False},
    "max_shift": {"max_shift": 15},
    "mutation_rate": {"mutation_rate": 0.02},
    "ema": {"ema": 0.99},
    "field": RECIPES["field"],
    "field_shift": {**RECIPES["field"], "max_shift": 15},
    "field_mutation": {**RECIPES["field"], "mutation_rate": 0.02},
    "field_ema": {**RECIPES["field"], "ema": 0.99},
    "all": {**RECIPES["field"], "max_shift": 15, "mutation_rate": 0.02, "ema": 0.99},
    "bf16": {"precision": "bf16"},
    **{f"field_{name}": RECIPES["field"] for name in UNTAKEN},
}


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="lentiMPRA data; without it so many simulated sequences as --rows says")
    parser.add_argument("--rows", type=int, default=9000)
    parser.add_argument("--encoder", default="dream_rnn")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="of every training")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen, write = parser.parse_args(), sys.stdout.write
    torch.set_num_threads(1)
    data = TrainingData(read_dataset(chosen.data) if chosen.data else simulate(chosen.rows).dataset)
    ways = chosen.ways.split(",")
    given = {name: float(value) for name, _, value in (text.partition("=") for text in chosen.set)}
    flat = {**preset(chosen.preset, chosen.encoder), "epochs": chosen.epochs, **given}
    spearman: dict[str, list[float]] = {way: [] for way in ways}
    ratios: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.seeds):
        configs = [TrialConfig.from_flat({**flat, **WAYS[way], "seed": seed}) for way in ways]
        kinds = [UNTAKEN.get(way.removeprefix("field_"), Training) for way in ways]
        trainings = [kind(config, data, device=chosen.device) for kind, config in zip(kinds, configs, strict=True)]
        for _ in range(chosen.epochs):
            seconds = [_epoch(training) for training in trainings]
            for way, of_way in zip(ways, seconds, strict=True):
                ratios[way].append(of_way / seconds[0])
        for way, training in zip(ways, trainings, strict=True):
            spearman[way].append(training.best_spearman)
    write(f"{chosen.encoder} {chosen.preset}, {chosen.epochs} epochs of {data.dataset.name}, {chosen.seeds} seeds\n\n")
    write("| way | validation Spearman, a seed each | mean | difference (SE) | epoch |\n|---|---|---|---|---|\n")
    for way in ways:
        off = [one - first for one, first in zip(spearman[way], spearman[ways[0]], strict=True)]
        error = statistics.stdev(off) / math.sqrt(len(off)) if len(off) > 1 else math.nan
        listed = " ".join(f"{value:.3f}" for value in spearman[way])
        write(
            f"| {way} | {listed} | {statistics.mean(spearman[way]):.3f} | {statistics.mean(off):+.3f} ({error:.3f})"
            f" | ×{statistics.median(ratios[way]):.3f} |\n"
        )


def _epoch(training: Training) -> float:
    """Seconds of an epoch without its score, which comes at the end alone."""
    clock = time.process_time if training.device.type == "cpu" else time.perf_counter
    started = clock()
    training._train_and_validate()
    return clock() - started


if __name__ == "__main__":
    main()
