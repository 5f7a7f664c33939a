"""What would keep a campaign from running on this machine, found before Ray starts: each in one sentence, in seconds."""

from __future__ import annotations

import sys
from pathlib import Path

from nrtune.orchestrator.execution.address import address_of, check_address
from nrtune.orchestrator.execution.limits import check_address_space
from nrtune.orchestrator.execution.places import check_folder, place_for_ray
from nrtune.orchestrator.execution.worker_imports import check_worker_imports


def check_surroundings(folder: Path | None, address: str | None) -> None:
    """See that Ray can start or be joined, and that the campaign's folder can be written. Raises UserError."""
    if ray_runs():  # whatever RAY_ADDRESS says
        check_address(address or "local")
    else:
        check_address_space()
        check_address(address)
        if address_of(address) is None:
            place_for_ray()
        check_worker_imports()
    if folder is not None:
        check_folder(folder)


def ray_runs() -> bool:
    """Whether this process has a Ray already, in a notebook or a test; Ray is not imported."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())
