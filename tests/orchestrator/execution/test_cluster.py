"""Trials on a cluster that starts its nodes when trials wait for them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from nrtune.orchestrator.execution import cluster
from nrtune.orchestrator.execution.cluster import Kind, startable, trials_at_once
from nrtune.orchestrator.execution.resources import Resources, find_resources
from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.core.errors import UserError

TOP = Path(__file__).parents[3]


def test_what_the_cluster_file_may_start_is_known():
    gpu = {"CPU": 4, "GPU": 1}
    assert startable(TOP / "cluster.yaml") == ([Kind(gpu, 8), Kind(gpu, 8), Kind(gpu, 4)], 8)


@pytest.mark.parametrize("content", [None, "", "provider: {type: local}", "a: [", "available_node_types: 3"])
def test_without_such_a_file_there_is_nothing_to_start(tmp_path: Path, content: str | None):
    path = tmp_path / "ray_bootstrap_config.yaml"
    if content is not None:
        path.write_text(content)
    assert startable(path) == ([], 0)


def test_a_trial_may_ask_for_nodes_that_are_not_there_yet(monkeypatch: pytest.MonkeyPatch):
    head = {"Alive": True, "Resources": {"memory": 1e9}}
    monkeypatch.setattr(ray, "nodes", lambda: [head, {"Alive": False, "Resources": {"CPU": 64}}])
    monkeypatch.setattr(cluster, "startable", lambda: ([Kind({"CPU": 4, "GPU": 1}, 2)], 2))

    def each(**settings: object) -> dict[str, float]:
        campaign = SimpleNamespace(settings=Settings(**settings))
        return find_resources(campaign, print).each

    assert each(address="auto", cpus_per_trial=2) == {"cpu": 2, "gpu": 1}
    assert each(address="auto", gpus_per_trial=0.5) == {"cpu": 1, "gpu": 0.5}
    with pytest.raises(UserError, match="no node has both"):
        each(address="auto", cpus_per_trial=8)
    with pytest.raises(UserError, match="no node has both"):
        each()  # a Ray of its own starts nothing


def test_as_many_trials_are_proposed_as_run_at_once_now_or_on_nodes_to_come(monkeypatch: pytest.MonkeyPatch):
    there = [{"Alive": alive, "Resources": {"CPU": 4, "GPU": 1}} for alive in (True, True, False)]
    monkeypatch.setattr(ray, "nodes", lambda: there)
    monkeypatch.setattr(cluster, "startable", lambda: ([Kind({"CPU": 2}, 1), Kind({"CPU": 8, "GPU": 2}, 5)], 3))
    assert trials_at_once({"cpu": 1, "gpu": 0}, joined=False) == 8
    assert trials_at_once({"cpu": 3, "gpu": 0}, joined=False) == 2
    assert trials_at_once({"cpu": 1, "gpu": 0.1}, joined=False) == 8  # ten would fit the GPU
    assert trials_at_once({"cpu": 1, "gpu": 1 / 3}, joined=False) == 6
    assert trials_at_once({"cpu": 1, "gpu": 1}, joined=True) == 6
    assert trials_at_once({"cpu": 8, "gpu": 2}, joined=True) == 3
    each = {"cpu": 1.0, "gpu": 1.0}
    assert Resources(each, each).proposed(Settings()) == 3
    assert Resources(each, each).proposed(Settings(address="auto")) == 7
    assert Resources(each, each).proposed(Settings(address="auto", max_concurrent=5)) == 5
