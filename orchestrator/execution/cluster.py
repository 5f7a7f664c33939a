"""What a cluster can give a trial: the nodes that are there, and those that it starts when trials wait for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ray
import yaml

BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")
"""Where `ray up` puts the cluster's settings on its head; Ray's autoscaler tells nobody else what it may start."""


class Kind(NamedTuple):
    """Nodes that the cluster may start: their resources, and how many of them."""

    resources: dict[str, float]
    most: int


def nodes(*, joined: bool) -> list[dict[str, float]]:
    """Resources of each node that is there and, in a cluster that was joined, of each kind that it may start."""
    return _there() + ([kind.resources for kind in startable()[0]] if joined else [])


def trials_at_once(each: Mapping[str, float], *, joined: bool) -> int:
    """How many trials run at once on the nodes that are there or, in a cluster that was joined, will be.

    each: the CPUs and GPUs of a trial.
    """
    kinds, limit = startable() if joined else ([], 0)
    largest = sorted((_fit(each, kind.resources) for kind in kinds for _ in range(kind.most)), reverse=True)
    return max(sum(_fit(each, node) for node in _there()), sum(largest[:limit]))


def startable(path: Path = BOOTSTRAP) -> tuple[list[Kind], int]:
    """What the cluster may start, as its settings on this machine say, and how many in all; nothing without them."""
    try:
        config = yaml.safe_load(path.expanduser().read_text())
        types: dict[str, Any] = config["available_node_types"]
        limit = int(config["max_workers"])
        # A kind without a limit of its own has the cluster's.
        kinds = [
            Kind(dict(kind["resources"]), int(kind.get("max_workers", limit)))
            for name, kind in types.items()
            if name != config["head_node_type"] and kind.get("resources")
        ]
        return [kind for kind in kinds if kind.most], limit
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return [], 0


def _there() -> list[dict[str, float]]:
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def _fit(each: Mapping[str, float], node: Mapping[str, float]) -> int:
    """How many times a node has what a trial gets, as far as it gets any."""
    # Ray's amounts have four decimals.
    return min(int(node.get(name.upper(), 0) / amount + 1e-6) for name, amount in each.items() if amount)
