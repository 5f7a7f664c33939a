"""What a start from trained weights gains where training sequences are few: paired by seed, by validation alone.

    python benchmarks/warm_start.py --data FILE [--other FILE] [--encoder motif_cnn] [--share 0.25] [--epochs 12] [--seeds 3]

The weights are those of a training on another cell line's file; without one, on the other half of the file's own training
sequences, elements kept whole, which is the most that a start could bring: the same assay. Each seed is trained on a share
of the training sequences from random weights, from those weights, and from those with the first layer frozen. Validation is the
file's own; sequences of it that --other trains on are left out of that.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nrtune.orchestrator.state.recipes import RECIPES
from nrtune.trainables.data.audit.copies import common_ends, find_copies
from nrtune.trainables.data.dataset import SPLITS, Dataset
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData
from nrtune.trainables.training.warm_start import WarmStart, read_warm_start


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--other")
    parser.add_argument("--encoder", default="motif_cnn")
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument(
        "--fine-lr", type=float, default=0.003, help="of trainings that start from weights, besides --lr"
    )
    parser.add_argument("--seeds", type=int, default=3)
    chosen, write = parser.parse_args(), sys.stdout.write
    torch.set_num_threads(1)
    data = read_dataset(chosen.data)
    first, second = _halves(data)
    source = first if chosen.other is None else _without_copies(read_dataset(chosen.other), data)
    target = _part(second, chosen.share if chosen.other else min(1.0, 2 * chosen.share))
    flat = {**preset("small", chosen.encoder), **RECIPES["field"], "epochs": chosen.epochs}
    config = TrialConfig.from_flat({**flat, "lr": chosen.lr})
    with tempfile.TemporaryDirectory() as folder:
        fit(config, TrainingData(source), folder=Path(folder), device="cpu")
        start = read_warm_start(Path(folder))
    ways = {
        "random weights": (chosen.lr, None, False),
        f"from weights, lr {chosen.lr:g}": (chosen.lr, start, False),
        f"from weights, lr {chosen.fine_lr:g}": (chosen.fine_lr, start, False),
        f"first layer frozen, lr {chosen.lr:g}": (chosen.lr, start, True),
    }
    counts = [len(of.rows("train")) for of in (source, target)]
    write(f"{chosen.encoder}: weights of {counts[0]} sequences, then {chosen.epochs} epochs on {counts[1]}\n\n")
    write("| way | validation Spearman, a seed each | mean | difference (SE) |\n|---|---|---|---|\n")
    plain: list[float] = []
    for way, (lr, weights, freeze) in ways.items():
        found = [_trained({**flat, "lr": lr, "seed": seed}, target, weights, freeze) for seed in range(chosen.seeds)]
        plain = plain or found
        off = [one - other for one, other in zip(found, plain, strict=True)]
        error = statistics.stdev(off) / math.sqrt(len(off)) if len(off) > 1 else math.nan
        listed = " ".join(f"{value:.3f}" for value in found)
        write(f"| {way} | {listed} | {statistics.mean(found):.3f} | {statistics.mean(off):+.3f} ({error:.3f}) |\n")
        sys.stdout.flush()


def _trained(flat: dict[str, object], dataset: Dataset, start: WarmStart | None, freeze: bool) -> float:
    """The best epoch's validation Spearman; no score is taken."""
    config = TrialConfig.from_flat(flat)
    if start is not None:
        config = start.config_of(config, freeze=freeze)
    training = Training(config, TrainingData(dataset, start=start), device="cpu")
    while not training.done:
        training._train_and_validate()
    return training.best_spearman


def _halves(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The data with each half of the training elements, drawn at random; validation and test are in both."""
    train = dataset.rows("train")
    clusters = train if dataset.cluster is None else dataset.cluster[train]
    names = np.unique(clusters)
    chosen = np.random.default_rng(0).permutation(names)[: len(names) // 2]
    is_first = np.isin(clusters, chosen)
    return _keeping(dataset, train[is_first]), _keeping(dataset, train[~is_first])


def _part(dataset: Dataset, share: float) -> Dataset:
    train = dataset.rows("train")
    return _keeping(dataset, train[: round(share * len(train))])


def _without_copies(dataset: Dataset, held_out: Dataset) -> Dataset:
    """The data without training sequences that another data set validates or tests on."""
    asked = held_out.tokens[np.flatnonzero(held_out.split != SPLITS.index("train"))]
    train = dataset.rows("train")
    copies = find_copies(asked, dataset.tokens[train], common_ends(held_out.tokens))
    return _keeping(dataset, train[copies.near < 0])


def _keeping(dataset: Dataset, train: NDArray[np.int64]) -> Dataset:
    rows = np.sort(np.concatenate([train, dataset.rows("val"), dataset.rows("test")]))
    of = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
    arrays = {name: value[rows] for name, value in of.items() if isinstance(value, np.ndarray)}
    return dataclasses.replace(dataset, **arrays, digest_as_read=None)


if __name__ == "__main__":
    main()
