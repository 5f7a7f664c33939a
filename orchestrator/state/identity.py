"""Whose a folder is: what decides a campaign's numbers, and that a folder holds this campaign and no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nrtune.analysis.selection.pareto import default_objectives
from nrtune.orchestrator.state.locations import MLFLOW
from nrtune.orchestrator.state.recipes import RECIPES
from nrtune.trainables.core.errors import UserError


def check_is_free(folder: Path) -> None:
    """See that a campaign can be made in a folder. Raises UserError where it is a file, or holds something else."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --out takes a folder")
    # A crash between making the folder and writing the manifest leaves an empty one, or a partial manifest.
    others = [p.name for p in folder.iterdir() if not p.name.startswith(".")] if folder.exists() else []
    if others:
        raise UserError(f"{folder}: is not empty and holds no campaign ({others[0]}); choose another --out")


def check_identity(folder: Path, manifest: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """See that a folder's campaign is the one asked for. Raises UserError where a setting that decides its numbers differs."""
    stored = _assumed(manifest) | manifest["identity"]
    # A benchmark that it was made with and that is not given any more would be noticed nowhere else.
    for key in dict.fromkeys([*identity, *manifest.get("benchmarks", ())]):
        if key == "tracking_uri":  # where trials are shown decides nothing, and may move
            continue
        value, there = identity.get(key), stored.get(key)
        if there != value:
            raise UserError(
                f"{folder}: holds a campaign with {key} {_brief(there)}, not {_brief(value)}; choose another --out,"
                f" or the same {key}"
            )


def _assumed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """How a campaign was run that began before this could be chosen, or was kept among what decides its numbers."""
    identity, settings = manifest["identity"], manifest.get("settings", {})
    assumed = {"tracker": MLFLOW}
    if identity.get("command") != "search":
        return assumed
    return assumed | {
        "encoders": [],
        **RECIPES["study"],
        "scheduler": "asha",
        "grace_epochs": settings.get("grace_epochs"),
        "reduction_factor": settings.get("reduction_factor", 3.0),
        "sampler": "tpe",
        "objective": list(map(str, default_objectives(identity["select_on"]))),
    }


def _brief(value: Any) -> str:
    return json.dumps(value)[:80]
