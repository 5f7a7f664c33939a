"""What data and trials take of a node's memory, with as many sequences as were published.

    python benchmarks/node_memory.py [--sequences 226000] [--preset small] [--workers 2]

The data set is put into Ray's object store once; each worker then trains and scores a trial of one epoch. Printed are the
object store's size, and of each worker what it holds alone (its USS): with torch and a model that has trained one
batch of another, small data set, and the most that was seen of it during the trial.
"""

from __future__ import annotations

import argparse
import sys
import threading
from typing import Any

import numpy as np
import psutil
import ray

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.loop import Training
from nrtune.trainables.training.training_data import TrainingData

LENGTH = 230


def published_size(n: int) -> Dataset:
    """n random sequences; what they say does not matter here."""
    generator = np.random.default_rng(0)
    activity = generator.standard_normal(n, np.float32)
    return Dataset(
        name="random",
        tokens=generator.integers(0, 4, (n, LENGTH), np.uint8),
        activity=activity,
        aleatoric_std=np.abs(activity),
        split=generator.choice(3, n, p=[0.8, 0.1, 0.1]).astype(np.uint8),
    )


class Worker:
    """A trial in a process of its own."""

    def __init__(self, data: TrainingData, flat: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(1)
        self.data, self.config = data, TrialConfig.from_flat({**flat, "epochs": 1})

    def ready(self) -> float:
        """MB held alone, with torch and a model that has trained one batch."""
        training = Training(self.config, TrainingData(simulate(400).dataset), device="cpu")
        training.sequences_a_second(0, warm_up=0)
        return _alone()

    def train(self) -> float:
        """The most MB held alone while a trial trains and is scored."""
        seen, done = [_alone()], threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                seen.append(_alone())

        watcher = threading.Thread(target=watch)
        watcher.start()
        Training(self.config, self.data, device="cpu").run_epoch()
        done.set()
        watcher.join()
        return max(seen)


def _alone() -> float:
    return float(psutil.Process().memory_full_info().uss) / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=226_000)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--workers", type=int, default=2)
    chosen, write = parser.parse_args(), sys.stdout.write
    ray.init(num_cpus=chosen.workers, include_dashboard=False, log_to_driver=False, address="local")
    try:
        before = _stored()
        data = ray.put(TrainingData(published_size(chosen.sequences)))
        # The script's own classes go by value: a worker has no file of this name.
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        workers = [ray.remote(Worker).remote(data, preset(chosen.preset)) for _ in range(chosen.workers)]
        ready = ray.get([worker.ready.remote() for worker in workers])
        trained = ray.get([worker.train.remote() for worker in workers])
        for number, (first, most) in enumerate(zip(ready, trained, strict=True), start=1):
            write(f"worker {number}: {first:.0f} MB with torch and model, at most {most:.0f} MB in a trial:"
                  f" {most - first:.0f} MB more\n")  # fmt: skip
        write(f"{chosen.sequences} sequences of {LENGTH} bases in the object store, {chosen.workers} workers at them:"
              f" {_stored() - before:.1f} MB\n")  # fmt: skip
    finally:
        ray.shutdown()


def _stored() -> float:
    """MB in the object store."""
    total, free = (
        resources().get("object_store_memory", 0) for resources in (ray.cluster_resources, ray.available_resources)
    )
    return (total - free) / 1e6


if __name__ == "__main__":
    main()
