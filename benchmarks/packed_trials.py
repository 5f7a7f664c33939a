"""What packing trials on one device gains: processes that share it, against threads of one process, each with its stream.

    python benchmarks/packed_trials.py [--preset study] [--batch 1024] [--counts 1,2,4,8] [--device cuda]

So many trainings of one configuration run at once. Printed are the sequences a second of all together, the trials an hour
that this makes with a data set of the published size, and the gain over one trial alone. A trial is the preset's epochs
over four fifths of 226,000 sequences; validation and scoring are left out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from multiprocessing.synchronize import Barrier
from typing import NamedTuple

import torch

from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData

TRAINED_ON = int(0.8 * 226_000)
"""Training sequences of the published size."""


class Load(NamedTuple):
    """What each of the trials is, and for how long it is measured."""

    flat: dict[str, str | int | float | bool | None]
    rows: int
    device: str
    seconds: float

    def training(self) -> Training:
        """A training on the device, on one thread of a CPU."""
        torch.set_num_threads(1)
        data = TrainingData(simulate(self.rows).dataset)
        return Training(TrialConfig.from_flat(self.flat), data, device=self.device)


def in_processes(load: Load, counts: list[int]) -> Iterator[float]:
    """Sequences a second of so many processes together, for each count: processes are started once."""
    context = multiprocessing.get_context("spawn")
    barriers = {count: context.Barrier(count) for count in counts}
    with context.Pool(max(counts), _keep, (barriers,)) as pool:
        for count in counts:
            yield sum(pool.starmap(_rate, [(load, count)] * count, chunksize=1))


def in_threads(load: Load, counts: list[int]) -> Iterator[float]:
    """Sequences a second of so many threads of this process together, for each count."""
    for count in counts:
        yield _of_threads(load, count)


def _of_threads(load: Load, count: int) -> float:
    trainings, barrier = [load.training() for _ in range(count)], threading.Barrier(count)

    def rate(training: Training) -> float:
        barrier.wait()
        with torch.cuda.stream(torch.cuda.Stream()) if load.device == "cuda" else nullcontext():
            return training.sequences_a_second(load.seconds)

    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(rate, trainings))


def _keep(barriers: dict[int, Barrier]) -> None:
    global _barriers
    _barriers = barriers


def _rate(load: Load, count: int) -> float:
    training = load.training()
    _barriers[count].wait()
    return training.sequences_a_second(load.seconds)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="study")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--counts", default="1,2,4,8")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=10)
    chosen, write = parser.parse_args(), sys.stdout.write
    flat = {**preset(chosen.preset), "batch_size": chosen.batch, "precision": chosen.precision}
    load = Load(flat, max(400, 5 * chosen.batch), chosen.device, chosen.seconds)
    a_trial = int(flat["epochs"] or 1) * TRAINED_ON
    write(f"{chosen.preset}, batches of {chosen.batch}, {chosen.precision}, {chosen.device}\n\n")
    write("| trials at once | in | sequences a second | trials an hour | times one alone |\n|---|---|---|---|---|\n")
    alone, counts = 0.0, [int(count) for count in chosen.counts.split(",")]
    for way, measure in (("processes", in_processes), ("threads", in_threads)):
        for count, rate in zip(counts, measure(load, counts), strict=True):
            alone = alone or rate
            write(f"| {count} | {way} | {rate:.0f} | {rate * 3600 / a_trial:.2f} | {rate / alone:.2f} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
