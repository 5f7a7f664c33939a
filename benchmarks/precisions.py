"""What a precision costs in accuracy and saves in time: whole trainings, side by side over the same seeds.

    python benchmarks/precisions.py [--preset study] [--ways float32,bf16,bf16+compile] [--rows 226000] [--epochs 2]

On simulated data, of the published size unless told otherwise. Seconds are those of a training's epochs; with compile the
first seed's hold the compilation, which later ones of the process are spared.
"""

from __future__ import annotations

import argparse
import statistics
import sys

import torch

from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="study")
    parser.add_argument("--ways", default="float32,bf16,bf16+compile")
    parser.add_argument("--rows", type=int, default=226_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen, write = parser.parse_args(), sys.stdout.write
    data = TrainingData(simulate(chosen.rows).dataset)
    write(
        f"{chosen.preset}, {chosen.epochs} epochs of {len(data.dataset.rows('train'))} sequences, {chosen.device}\n\n"
    )
    write("| way | validation Spearman, a seed each | mean | seconds of training, a seed each |\n|---|---|---|---|\n")
    for way in chosen.ways.split(","):
        precision, _, compiled = way.partition("+")
        flat = {**preset(chosen.preset), "epochs": chosen.epochs, "precision": precision, "compile": bool(compiled)}
        found, seconds = [], []
        for seed in range(chosen.seeds):
            training = Training(TrialConfig.from_flat({**flat, "seed": seed}), data, device=chosen.device)
            while not training.done:
                training.run_epoch()
            seconds.append(sum(epoch["seconds"] for epoch in training.history))
            found.append(training.best_spearman)
        listed = " ".join(f"{value:.4f}" for value in found)
        write(
            f"| {way} | {listed} | {statistics.mean(found):.4f} | {' '.join(f'{value:.1f}' for value in seconds)} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
