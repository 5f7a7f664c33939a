"""Several Ray nodes on this machine, with GPUs that they only pretend to have: a node is lost, and nothing else."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from books import check_agreement
from command_line import CommandLine
from ray.cluster_utils import Cluster

from analysis.books import read_records, read_status
from orchestrator.settings import Settings

EPOCHS = 25


@dataclasses.dataclass
class Nodes:
    """A head without resources, and workers that hold a CPU and a pretended GPU each."""

    cluster: Cluster
    workers: list[Any]

    def lose_one(self) -> None:
        self.cluster.remove_node(self.workers.pop(), allow_graceful=False)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        yield Nodes(cluster, [cluster.add_node(num_cpus=1, num_gpus=1, wait=True) for _ in range(2)])
    finally:
        cluster.shutdown()


def wait(when: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not when():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def numbers(folder: Path) -> dict[str, dict[str, float]]:
    return {r.fingerprint: dict(r.metrics) for r in read_records(folder)}


def test_a_lost_node_costs_no_trial(nodes: Nodes, settings: Settings, tmp_path: Path):
    wanted = settings.model_copy(
        update={"trials": 2, "epochs": EPOCHS, "grace_epochs": EPOCHS, "gpus_per_trial": 1.0, "families": ("baseline",)}
    )
    on_nodes = wanted.model_copy(update={"address": nodes.cluster.address, "out": tmp_path / "nodes"})
    out = Path(str(on_nodes.out))
    process = CommandLine(on_nodes, tmp_path).start()
    wait(lambda: len(list(out.glob("trials/*/last.pt"))) == 2)
    assert len(read_status(out)["running"]) == 2
    nodes.lose_one()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    records = read_records(out)
    assert sorted(r.attempts for r in records) == [1, 2]
    assert all(r.status == "finished" and r.gpu_seconds > 0 for r in records)
    assert "goes on from its checkpoint (lost_node" in err
    check_agreement(out, ("baseline",), 2)
    CommandLine(wanted.model_copy(update={"gpus_per_trial": None}), tmp_path).finish()
    assert numbers(out) == numbers(Path(str(wanted.out)))
