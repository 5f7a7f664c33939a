"""How fast a training epoch is: nrtune, a loop as the study's was, and the floor that the model itself sets.

    python benchmarks/training.py [--cases small:64,small:1024] [--losses all] [--precisions float32] [--device cpu]
                                   [--compile]

A case is a preset and a batch size. Each row is a loss, in sequences a second:

- nrtune: an epoch of `nrtune.trainables.training.loop.Training`, sampler, optimiser and schedule included.
- floor: forward and backward of the same model with mse, on one batch that lies on the device; no optimiser.
- reference: the literal architecture in plain modules (a norm, a ReLU and a dropout a branch, a 1×1 convolution), one-hot
  sequences in float32, a DataLoader over a TensorDataset, a copy a batch, each loss read back, predictions in a list.
- literal floor: forward and backward of that architecture alone.

Rounds go through all four in turn, so that a slow moment of the machine strikes them alike; printed are medians, and
ratios of medians. Peak memory is that of a process of its own, less what it had before the first batch. Scoring is what the
best epoch's predictions take, as a share of the preset's epochs over a data set of the published size.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from literal_networks import LiteralDreamRNN
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.encoders.dream_rnn import DreamRNN
from nrtune.trainables.evaluation.scoring import predict
from nrtune.trainables.losses import LOSSES, Progress, Target
from nrtune.trainables.models.kernels.proof import prove
from nrtune.trainables.models.model import ONE_HOT_OF_TOKEN
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData

TRAINED_ON, SCORED = 180_800, 65_000
"""Training sequences of the published size; those scored: validation, test, and about 20,000 windows of CAGI5."""

PROGRESS = Progress(0, 1)


class Case(NamedTuple):
    """What is trained: a preset, a batch size, a loss, a precision, a device; and the batches of a round."""

    preset: str
    batch: int
    loss: str
    precision: str
    device: str
    steps: int
    compile: bool = False

    def config(self) -> TrialConfig:
        """The trial."""
        head = "dual" if LOSSES.get(self.loss).needs_log_variance else "point"
        chosen = {"batch_size": self.batch, "epochs": 1000, "loss": self.loss, "head": head}
        return TrialConfig.from_flat(
            {**preset(self.preset), **chosen, "precision": self.precision, "compile": self.compile}
        )

    @property
    def bf16(self) -> bool:
        """Whether autocast is on."""
        return self.precision == "bf16"


Round = Callable[[], float]
"""Trains for a while, and returns sequences a second."""


def nrtune(case: Case, dataset: Dataset) -> Round:
    """Epochs of nrtune's own."""
    training = Training(case.config(), TrainingData(dataset), device=case.device)
    return lambda: training.run_epoch().metrics["samples_per_second"]


def _proven(model: nn.Module, batch: Tensor, case: Case) -> nn.Module:
    """A model with the kernels that a training of the case has."""
    if case.bf16 and case.device == "cuda":
        prove(model.to(case.device), batch.to(case.device))
    return model


def floor(case: Case, dataset: Dataset, model: nn.Module, batch: Tensor) -> Round:
    """Forward and backward alone, on a batch that lies there."""
    model.to(case.device).train()
    batch, activity = batch.to(case.device), torch.from_numpy(dataset.activity[: case.batch]).to(case.device)

    def run() -> float:
        started = time.perf_counter()
        for _ in range(case.steps):
            model.zero_grad(set_to_none=True)
            with torch.autocast(case.device, torch.bfloat16, enabled=case.bf16):
                prediction = model(batch)
            (prediction.mean.float() - activity).square().mean().backward()
        _wait(case.device)
        return case.steps * case.batch / (time.perf_counter() - started)

    return run


def reference(case: Case, dataset: Dataset) -> Round:
    """An epoch as the study's loop had it, always in float32."""
    config, rows = case.config(), dataset.rows("train")
    one_hot = _one_hot(dataset, rows)
    activity, std = torch.from_numpy(dataset.activity[rows]), torch.from_numpy(_std(dataset)[rows])
    loader = DataLoader(TensorDataset(one_hot, activity, std), batch_size=case.batch, shuffle=True)
    model = _literal(config).to(case.device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=False)

    def run() -> float:
        started, losses, predictions = time.perf_counter(), [], []
        for batch in loader:
            sequences, measured, deviation = (tensor.to(case.device) for tensor in batch)
            optimiser.zero_grad()
            prediction = model(sequences)
            loss = config.loss(prediction, Target(measured, deviation), PROGRESS)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            predictions.extend(prediction.mean.detach().cpu().numpy().tolist())
        return len(rows) / (time.perf_counter() - started)

    return run


def rounds_of(case: Case, dataset: Dataset) -> dict[str, Round]:
    """All that is measured side by side."""
    config = case.config()
    tokens = torch.from_numpy(dataset.tokens[: case.batch])
    one_hot = _one_hot(dataset, slice(case.batch))
    return {
        "nrtune": nrtune(case, dataset),
        "floor": floor(case, dataset, _proven(config.build_model(), tokens, case), tokens),
        "reference": reference(case, dataset),
        "literal floor": floor(case, dataset, _literal(config), one_hot),
    }


def scoring_share(case: Case, dataset: Dataset, trained: float) -> float:
    """How long a score takes, relative to a training of so many sequences a second."""
    model, tokens = case.config().build_model().to(case.device), torch.from_numpy(dataset.tokens).to(case.device)
    predict(model, tokens[: case.batch])
    started = time.perf_counter()
    predict(model, tokens)
    seconds = (time.perf_counter() - started) * SCORED / len(tokens)
    return seconds / (int(preset(case.preset)["epochs"] or 1) * TRAINED_ON / trained)


def peak_memory(case: Case, dataset: Dataset, name: str) -> float:
    """MB on top of what was there before the first batch, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak, (case, dataset, name))


def _peak(case: Case, dataset: Dataset, name: str) -> float:
    if case.device == "cuda":
        run = rounds_of(case, dataset)[name]
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() / 1e6
    before = _resident_kb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far
    rounds_of(case, dataset)[name]()
    return (_resident_kb("VmHWM") - before) / 1e3


def _resident_kb(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _literal(config: TrialConfig) -> LiteralDreamRNN:
    assert isinstance(config.encoder, DreamRNN)
    return LiteralDreamRNN(config.encoder, 1 if config.head == "point" else 2)


def _one_hot(dataset: Dataset, rows: object) -> Tensor:
    return torch.tensor(ONE_HOT_OF_TOKEN)[torch.from_numpy(dataset.tokens[rows]).int()].transpose(1, 2).contiguous()


def _std(dataset: Dataset) -> object:
    assert dataset.aleatoric_std is not None
    return dataset.aleatoric_std


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def measure(case: Case, dataset: Dataset, rounds: int) -> dict[str, float]:
    """Median sequences a second of each, the first round not counted."""
    runs = rounds_of(case, dataset)
    seen: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            seen[name].append(run())
    return {name: statistics.median(values[1:]) for name, values in seen.items()}


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="small:64,small:1024")
    parser.add_argument("--losses", default="all", help="names, or all")
    parser.add_argument("--precisions", default="float32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="nrtune through torch.compile")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="batches of a round, about")
    chosen, write = parser.parse_args(), sys.stdout.write
    warnings.simplefilter("ignore")
    losses = sorted(LOSSES) if chosen.losses == "all" else chosen.losses.split(",")
    device = torch.cuda.get_device_name() if chosen.device == "cuda" else f"{torch.get_num_threads()} threads"
    write(f"{platform.machine()}, {device}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}\n")
    for size in chosen.cases.split(","):
        name, batch = size.split(":")
        dataset = simulate(max(40, int(1.3 * chosen.steps * int(batch)))).dataset
        for precision in chosen.precisions.split(","):
            compiled = ", compiled" if chosen.compile else ""
            write(f"\n{name}, batches of {batch}, {precision}{compiled}; sequences a second\n\n")
            write("| loss | nrtune | floor | × floor time | reference | × as fast | floor / literal floor |\n")
            write("|---|---|---|---|---|---|---|\n")
            rates = {}
            for loss in losses:
                case = Case(name, int(batch), loss, precision, chosen.device, chosen.steps, chosen.compile)
                ours, bare, plain, literal = measure(case, dataset, chosen.rounds).values()
                write(f"| {loss} | {ours:.0f} | {bare:.0f} | {bare / ours:.2f} | {plain:.0f} | {ours / plain:.2f} |"
                      f" {bare / literal:.2f} |\n")  # fmt: skip
                sys.stdout.flush()
                rates[case] = ours
            case, ours = next(iter(rates.items()))
            peaks = {part: peak_memory(case, dataset, part) for part in ("nrtune", "reference")}
            write(f"\nWith {case.loss}: peak memory " + ", ".join(f"{part} {mb:.0f} MB" for part, mb in peaks.items()))
            write(f"; scoring takes {100 * scoring_share(case, dataset, ours):.2g} % of a training\n")


if __name__ == "__main__":
    main()
