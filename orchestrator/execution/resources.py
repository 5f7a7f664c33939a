"""What a trial gets of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nrtune.orchestrator.execution import cluster
from nrtune.orchestrator.execution.address import address_of
from nrtune.orchestrator.execution.job import Job
from nrtune.orchestrator.execution.packing import packed
from nrtune.orchestrator.state.settings import AUTO, RunSettings
from nrtune.trainables.core.errors import UserError


class Resources(NamedTuple):
    """CPUs and GPUs that each trial gets, and those of one that shares neither its GPU nor, without GPUs, its node."""

    each: dict[str, float]
    alone: dict[str, float]

    @property
    def shares(self) -> bool:
        """Whether one trial leaves something of its GPU or node to others."""
        return self.each != self.alone

    def proposed(self, settings: RunSettings) -> int:
        """How many trials are handed to Ray at a time: as many as run at once, now or on nodes that it will start.

        Without a limit of the user's, one more: it waits for the first that ends, and shows an autoscaler that more could
        run.
        """
        joined = address_of(settings.address) is not None
        return settings.max_concurrent or cluster.trials_at_once(self.each, joined=joined) + 1


def find_resources(job: Job, say: Callable[[str], None]) -> Resources:
    """The CPUs and GPUs asked for, measured where that is `auto`; without a word on GPUs, one where there are any or can be.

    Raises UserError for more than any node has: such a trial would wait for ever.
    """
    settings = job.settings
    nodes = cluster.nodes(joined=address_of(settings.address) is not None)
    cpus, gpus = settings.cpus_per_trial, settings.gpus_per_trial
    has_gpus = any(node.get("GPU", 0) >= 1 for node in nodes)
    if gpus is None:
        gpus = 1.0 if has_gpus else 0.0
    if (gpus == AUTO and has_gpus) or (cpus == AUTO and not has_gpus):
        found = packed(job.folder, job.typical.to_flat(), job.data, nodes, say)
        cpus, gpus = (int(found["cpu"]) if cpus == AUTO else cpus), found["gpu"]
    each = {"cpu": 1.0 if cpus == AUTO else float(cpus), "gpu": 0.0 if gpus == AUTO else float(gpus)}
    if not any(node.get("CPU", 0) >= each["cpu"] and node.get("GPU", 0) >= each["gpu"] for node in nodes):
        there = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise UserError(
            f"--cpus-per-trial {each['cpu']:g} and --gpus-per-trial {each['gpu']:g}: no node has both ({there}); ask for fewer"
        )
    if each["gpu"]:
        return Resources(each, each | {"gpu": max(1.0, each["gpu"])})
    return Resources(each, each | {"cpu": max(node.get("CPU", 0) for node in nodes)})
