"""How many trials share a GPU, or the cores of a node without one: as many as gain throughput and fit its memory.

One trial trains for some seconds on a node, alone; then 2, 4, 8, … at once, as long as they fit MEMORY_SHARE of the
device's memory by the first one's peak, and together train at least GAIN times as fast as fewer did. What was found is
kept in the campaign's folder, so that a restart, whose numbers depend on it, packs alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.core.shape import read_json

PACKING = "packing.json"
GAIN = 1.1
"""Twice as many trials must train together at least so many times as fast."""

MEMORY_SHARE = 0.85
PROBE_SECONDS = 4.0


class Probed(NamedTuple):
    """What so many trials at once did: sequences a second of all together, and the peak memory of one, in bytes."""

    rate: float
    memory: int


class Device(NamedTuple):
    """What trials are packed on: a GPU, or a node without any; its memory in bytes, and the CPUs that its trials share."""

    gpu: bool
    memory: int
    cpus: int


def most_that_pay(probe: Callable[[int], Probed], memory: int, most: int) -> tuple[int, dict[int, Probed]]:
    """How many trials at once, at most `most`, and what was measured on the way; probe: measures so many."""
    found = {1: probe(1)}
    best = 1
    fits = int(MEMORY_SHARE * memory / max(found[1].memory, 1))
    while 2 * best <= min(most, fits):
        found[2 * best] = probe(2 * best)
        if found[2 * best].rate < GAIN * found[best].rate:
            break
        best *= 2
    return best, found


class Prober:
    """Trains copies of a trial at once on one node, to see how fast they are together."""

    def __init__(self, config: Mapping[str, Any], data: Any, device: Device) -> None:
        self.config, self.device = dict(config), device
        self.data = ray.put(data)

    def __call__(self, trials: int) -> Probed:
        """Train so many at once. Those of a node without GPUs share its cores evenly."""
        cpus = 1 if self.device.gpu else max(1, self.device.cpus // trials)
        bundle = {"CPU": cpus} | ({"GPU": 1 / trials} if self.device.gpu else {})
        group = placement_group([bundle] * trials, strategy="STRICT_PACK")
        try:
            ray.get(group.ready())
            options = {"num_cpus": cpus, "num_gpus": bundle.get("GPU", 0)}
            actors = [
                ray.remote(_Probe).options(**options, scheduling_strategy=PlacementGroupSchedulingStrategy(
                    group, placement_group_bundle_index=number)).remote(self.config, self.data, cpus, self.device.gpu)
                for number in range(trials)
            ]  # fmt: skip
            ray.get([actor.ready.remote() for actor in actors])
            rates, peaks = zip(*ray.get([actor.measure.remote(PROBE_SECONDS) for actor in actors]), strict=True)
            return Probed(sum(rates), max(peaks))
        finally:
            remove_placement_group(group)


class _Probe:
    """A trial under measurement, in a worker of its own."""

    def __init__(self, config: Mapping[str, Any], data: Any, threads: int, gpu: bool) -> None:
        import torch

        from nrtune.trainables.training.config import TrialConfig
        from nrtune.trainables.training.loop import Training

        torch.set_num_threads(threads)
        self.cuda = gpu and torch.cuda.is_available()
        self.training = Training(TrialConfig.from_flat(config), data, device="cuda" if self.cuda else "cpu")

    def ready(self) -> bool:
        return True

    def measure(self, seconds: float) -> tuple[float, int]:
        """Sequences a second, and the peak of device memory or, without a GPU, of the process."""
        import resource

        rate = self.training.sequences_a_second(seconds)
        if not self.cuda:
            return rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        import torch

        free, total = torch.cuda.mem_get_info()
        # Scoring and the context of the process come on top of what training reserved.
        context = max(0, total - free - torch.cuda.memory_reserved())
        return rate, torch.cuda.max_memory_reserved() + min(context, 1 << 30)


def find_device(nodes: Sequence[Mapping[str, float]], gpu_memory: Callable[[], int]) -> Device:
    """The GPU of a node that has any, else the node with most CPUs; nodes: their Ray resources."""
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if with_gpu:
        node = max(with_gpu, key=lambda node: node["GPU"])
        return Device(True, gpu_memory(), max(1, int(node.get("CPU", 0) / node["GPU"])))
    node = max(nodes, key=lambda node: node.get("CPU", 0))
    return Device(False, int(node.get("memory", 0)), max(1, int(node.get("CPU", 0))))


def packed(
    folder: Path,
    config: Mapping[str, Any],
    data: Any,
    nodes: Sequence[Mapping[str, float]],
    say: Callable[[str], None],
) -> dict[str, float]:
    """What each trial gets: cpu and gpu, as measured now for a campaign's folder, or before; nodes: their Ray resources."""
    path = folder / PACKING
    with suppress(UserError):  # none, or a damaged one, is measured again
        return dict(read_json(path, "what was measured", {"each": {"cpu": float, "gpu": float}})["each"])
    say("measuring how many trials to run at once")
    device = find_device(nodes, _gpu_memory)
    trials, found = most_that_pay(Prober(config, data, device), device.memory, device.cpus)
    each = {"cpu": 1.0, "gpu": 1 / trials} if device.gpu else {"cpu": float(device.cpus // trials), "gpu": 0.0}
    measured = {str(n): probed._asdict() for n, probed in found.items()}
    text = json.dumps({"each": each, "device": device._asdict(), "measured": measured}, indent=1) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))
    rates = ", ".join(f"{n}: {probed.rate:.0f}" for n, probed in found.items())
    say(f"{trials} a {'GPU' if device.gpu else 'node'} (sequences a second of so many trials at once: {rates};"
        f" {max(probed.memory for probed in found.values()) / 1e6:.0f} MB each)")  # fmt: skip
    return each


def _gpu_memory() -> int:
    """The memory of a GPU of the cluster; without CUDA, where GPUs are pretended, that of a worker's machine."""

    def look() -> int:
        import os

        import torch

        if torch.cuda.is_available():
            return int(torch.cuda.mem_get_info()[1])
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    return int(ray.get(ray.remote(look).options(num_gpus=1, num_cpus=0).remote()))
