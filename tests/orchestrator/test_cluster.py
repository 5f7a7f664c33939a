"""Trials on a cluster that starts its nodes when trials wait for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from orchestrator import ray_run
from orchestrator.cluster import startable_nodes
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
    monkeypatch.setattr(ray, "nodes", lambda: [head])
    workers = [{"CPU": 4, "GPU": 1}]
    assert ray_run._resources(2, None, workers) == {"cpu": 2, "gpu": 1.0}
    assert ray_run._resources(1, 0.5, workers) == {"cpu": 1, "gpu": 0.5}
    with pytest.raises(UserError, match="no node has both"):
        ray_run._resources(8, None, workers)
    with pytest.raises(UserError, match="no node has both"):
        ray_run._resources(1, None, [])
