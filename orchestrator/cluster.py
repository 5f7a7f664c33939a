"""What a cluster can give a trial: the nodes that are there, and those that it starts when trials wait for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ray
import yaml

BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")
"""Where `ray up` puts the cluster's settings on its head; Ray's autoscaler tells nobody else what it may start."""


def address_of(given: str | None) -> str | None:
    """The cluster to join: that of an address, else of the Ray job in which this runs; None for a Ray of its own."""
    return given or os.environ.get("RAY_ADDRESS")


def nodes(*, joined: bool) -> list[dict[str, float]]:
    """Resources of each node that is there and, in a cluster that was joined, of each kind that it may start."""
    there = [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]
    return there + (startable_nodes() if joined else [])


def startable_nodes(path: Path = BOOTSTRAP) -> list[dict[str, float]]:
    """Resources of each kind of node that the cluster may start, as its settings on this machine say; none without them."""
    try:
        config = yaml.safe_load(path.expanduser().read_text())
        types: dict[str, Any] = config["available_node_types"]
        kinds = [kind for name, kind in types.items() if name != config["head_node_type"]]
        # A kind without a limit of its own has the cluster's.
        return [dict(kind["resources"]) for kind in kinds if kind.get("max_workers", 1) and kind.get("resources")]
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return []
