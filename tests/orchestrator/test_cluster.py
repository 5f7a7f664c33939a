"""Trials on a cluster that starts its nodes when trials wait for them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from orchestrator import cluster
from orchestrator.cluster import startable_nodes
from orchestrator.resources import find_resources
from orchestrator.settings import Settings
from trainables.errors import UserError

TOP = Path(__file__).parents[2]


def test_what_the_cluster_file_may_start_is_known():
    assert startable_nodes(TOP / "cluster.yaml") == [{"CPU": 4, "GPU": 1}] * 3


@pytest.mark.parametrize("content", [None, "", "provider: {type: local}", "a: [", "available_node_types: 3"])
def test_without_such_a_file_there_is_nothing_to_start(tmp_path: Path, content: str | None):
    path = tmp_path / "ray_bootstrap_config.yaml"
    if content is not None:
        path.write_text(content)
    assert startable_nodes(path) == []


def test_a_trial_may_ask_for_nodes_that_are_not_there_yet(monkeypatch: pytest.MonkeyPatch):
    head = {"Alive": True, "Resources": {"memory": 1e9}}
    monkeypatch.setattr(ray, "nodes", lambda: [head, {"Alive": False, "Resources": {"CPU": 64}}])
    monkeypatch.setattr(cluster, "startable_nodes", lambda: [{"CPU": 4, "GPU": 1}])

    def each(**settings: object) -> dict[str, float]:
        campaign = SimpleNamespace(settings=Settings(**settings))
        return find_resources(campaign, print).each

    assert each(address="auto", cpus_per_trial=2) == {"cpu": 2, "gpu": 1}
    assert each(address="auto", gpus_per_trial=0.5) == {"cpu": 1, "gpu": 0.5}
    with pytest.raises(UserError, match="no node has both"):
        each(address="auto", cpus_per_trial=8)
    with pytest.raises(UserError, match="no node has both"):
        each()  # a Ray of its own starts nothing
