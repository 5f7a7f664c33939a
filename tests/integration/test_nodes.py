"""Several Ray nodes on this machine, with GPUs that they only pretend to have: a node is lost, and nothing else."""

from __future__ import annotations

import dataclasses
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaign_records import check_agreement
from command_line import CommandLine
from ray.cluster_utils import Cluster

from nrtune.analysis.store.records import read_records, read_status
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.core.registry import PLUGIN_VARIABLE

pytestmark = pytest.mark.slow
"""Short sisters: trials that are killed, and those that lack memory, in test_faults.py."""

EPOCHS = 25

HUNGRY = """
import dataclasses, ray
from nrtune.trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Hungry(Loss):
    \"\"\"Mean squared error that needs a GPU of its own.\"\"\"
    def __call__(self, prediction, target, progress):
        if ray.get_runtime_context().get_assigned_resources().get("GPU", 0) < 1:
            raise MemoryError("out of memory")
        return (prediction.mean - target.activity).square().mean()
"""
HUNGRY_FAMILY = """
from nrtune.search_spaces import Choice, Family, Float, Published
FAMILY = Family(
    code="HUN", title="Hungry", fixed={"encoder": "dream_rnn", "head": "point", "sampler": "uniform"},
    space=(
        Choice(name="loss", values=("mse", "hungry"), default="mse"),
        Float(name="lr", low=0.0001, high=0.1, default=0.005, log=True),
    ),
    published=tuple(
        Published(name=f"HUN{n}", seed=0, parameters={"lr": 0.001 * n, "loss": "hungry" if n == 1 else "mse"})
        for n in range(1, 9)
    ),
)
"""


@dataclasses.dataclass
class Nodes:
    """A head without resources, and workers that hold a CPU and a pretended GPU each."""

    cluster: Cluster
    workers: list[Any]

    def lose_one(self) -> None:
        self.cluster.remove_node(self.workers.pop(), allow_graceful=False)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without resources."""
    handler = signal.getsignal(signal.SIGTERM)
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        yield found
    finally:
        found.shutdown()
        signal.signal(signal.SIGTERM, handler)  # each node of Ray's takes it


@pytest.fixture
def nodes(cluster: Cluster) -> Nodes:
    return Nodes(cluster, [cluster.add_node(num_cpus=1, num_gpus=1, wait=True) for _ in range(2)])


@pytest.fixture
def hungry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family whose first trial finds memory only where it has a GPU to itself."""
    for name, text in {"losses/hungry.py": HUNGRY, "search_spaces/hungry.py": HUNGRY_FAMILY}.items():
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path / "plugins"))


def numbers(folder: Path) -> dict[str, dict[str, float]]:
    return {r.fingerprint: dict(r.metrics) for r in read_records(folder)}


def test_a_lost_node_costs_no_trial(shared_ray, nodes: Nodes, settings: Settings, tmp_path: Path):
    wanted = settings.model_copy(update={"trials": 2, "epochs": EPOCHS, "grace_epochs": EPOCHS})
    on_nodes = wanted.model_copy(
        update={
            "address": nodes.cluster.address,
            "out": tmp_path / "nodes",
            "gpus_per_trial": 1.0,
            "max_concurrent": None,
        }
    )
    out = Path(str(on_nodes.out))
    with CommandLine(on_nodes, tmp_path).start() as process:
        process.wait_until(lambda: len(list(out.glob("trials/*/last.pt"))) == 2, "two trials train")
        process.wait_until(lambda: len(read_status(out)["running"]) == 2, "the books say so")
        nodes.lose_one()
        assert process.end() == 0, process.err
        err = process.err
    records = read_records(out)
    assert sorted(r.attempts for r in records) == [1, 2]
    assert all(r.status == "finished" and r.gpu_seconds > 0 for r in records)
    assert "goes on from its checkpoint (lost_node" in err
    check_agreement(out, ("baseline",), 2)
    run_campaign(prepare(wanted))
    assert numbers(out) == numbers(Path(str(wanted.out)))


def test_trials_share_a_gpu_and_one_that_lacks_memory_gets_it_alone(
    hungry, cluster: Cluster, settings: Settings, tmp_path: Path
):
    cluster.add_node(num_cpus=2, num_gpus=1, wait=True)
    shared = settings.model_copy(
        update={
            "families": ("hungry",),
            "trials": 8,
            "epochs": 20,
            "grace_epochs": 20,
            "gpus_per_trial": 0.5,
            "max_concurrent": None,
            "address": cluster.address,
        }
    )
    err = CommandLine(shared, tmp_path).finish()
    records = read_records(Path(str(shared.out)))
    assert {r.status for r in records} == {"finished"}
    alone = next(r for r in records if r.published == "HUN1")
    others = [r for r in records if r is not alone]
    assert {r.attempts for r in others} == {1}
    assert any(a.started < b.ended and b.started < a.ended for a, b in itertools.combinations(others, 2))
    assert (alone.attempts, alone.micro_batches) == (2, 1)
    assert "HUN-001 runs again, alone" in err
    # It did not wait for a GPU that others shared until they were all done.
    assert records.index(alone) < len(records) - 2
