"""Whose a folder is: what decides a campaign's numbers, and that a folder holds this campaign and no other."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from nrtune.analysis.selection.pareto import default_objectives
from nrtune.analysis.store.records import MANIFEST, read_manifest
from nrtune.orchestrator.state.locations import DATABASE, MLFLOW, SLURM_FOLDER
from nrtune.orchestrator.state.recipes import RECIPES
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.inside import check_inside

ADDRESSES = ("tracking_uri", "optuna_storage")
"""Kept without passwords beside what a campaign is, of which they are no part."""
SPACE = "space"
"""What each family searches, by its name."""


def check_is_free(folder: Path) -> None:
    """See that a campaign can be made in a folder. Raises UserError where it is a file, or holds something else."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --out takes a folder")
    check_inside(folder)
    # A crash between making the folder and writing the manifest leaves an empty one, or a partial manifest.
    others = [p.name for p in folder.iterdir() if not p.name.startswith(".")] if folder.exists() else []
    others = [name for name in others if name != SLURM_FOLDER]  # which is there before a job of it has begun
    if others == [DATABASE] and _has_no_runs(folder / DATABASE):
        return
    if others:
        raise UserError(f"{folder}: is not empty and holds no campaign ({others[0]}); choose another --out")


def _has_no_runs(path: Path) -> bool:
    """Whether a file is an MLflow database that shows nothing: who looks into it before there is any makes one."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return "runs" not in tables or not database.execute("SELECT count(*) FROM runs").fetchone()[0]
    return False


def check_settings(folder: Path, identity: Mapping[str, Any]) -> None:
    """See the same as `check_identity` of what is known before data are read, where a campaign has begun in a folder."""
    if (folder / MANIFEST).exists():
        _check(folder, read_manifest(folder, whole=False), identity, {}, identity)


def check_identity(
    folder: Path,
    manifest: Mapping[str, Any],
    identity: Mapping[str, Any],
    about: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """See that a folder's campaign is the one asked for. Raises UserError where a setting that decides its numbers differs.

    about: what its manifest would say beside the identity: files are named by it.
    """
    # A benchmark that it was made with and that is not given any more would be noticed nowhere else.
    _check(folder, manifest, identity, about, dict.fromkeys([*identity, *manifest.get("benchmarks", ())]))


def _check(
    folder: Path,
    manifest: Mapping[str, Any],
    identity: Mapping[str, Any],
    about: Mapping[str, Any],
    keys: Iterable[str],
) -> None:
    stored = _assumed(manifest) | manifest["identity"]
    for key in keys:
        value, there = identity.get(key), stored.get(key)
        if key in ADDRESSES:  # where it is kept and shown decides nothing, and may move
            continue
        if key == SPACE:
            _check_space(folder, there or {}, value or {})
            continue
        if there == value:
            continue
        if key in ("data", "warm_start", *manifest.get("benchmarks", ()), *about.get("benchmarks", ())):
            raise UserError(f"{folder}: {_other_file(key, _path(key, manifest, there), _path(key, about, value))}")
        raise UserError(
            f"{folder}: holds a campaign with {key} {_brief(there)}, not {_brief(value)}; choose another --out,"
            f" or the same {key}"
        )


def _path(key: str, about: Mapping[str, Any], digest: Any) -> str | None:
    """The file, or files, of which a campaign has a digest; None where it has none."""
    if digest is None:
        return None
    of_key = about.get(key)
    path = of_key.get("path") if isinstance(of_key, Mapping) else about.get("settings", {}).get(key)
    return str(path or "another file")


def _other_file(key: str, there: str | None, asked: str | None) -> str:
    """Which flag, and which file, is another than the campaign's."""
    flag = f"--{key.replace('_', '-')}" if key in ("data", "warm_start", "cagi5", "satmut") else f"--benchmark {key}=…"
    if asked is None:
        return (
            f"holds a campaign with {key} of {there}, which is not given; give {flag} {there}, or choose another --out"
        )
    if there is None:
        return f"holds a campaign without {key}, and {flag} gives {asked}; leave it out, or choose another --out"
    known = f"holds a campaign with {key} of {there}"
    if there == asked:
        return f"{known}, which has changed since; put the file of then back, or choose another --out"
    return f"{known}, and {asked} ({flag}) holds something else; give that file, or choose another --out"


def _check_space(folder: Path, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """See that the families of both search the same parameters: what was proposed is judged by what could be."""
    for family in stored.keys() & asked.keys():
        for name in sorted(stored[family].keys() | asked[family].keys()):
            there, value = stored[family].get(name), asked[family].get(name)
            if there != value:
                before, now = ("nothing" if one is None else _brief(one) for one in (there, value))
                raise UserError(
                    f"{folder}: holds a campaign in which family {family} searches {name} in {before}, not in {now}; choose"
                    " another --out, or put back what the family searched"
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
        "starting_points": "all",
        "objective": list(map(str, default_objectives(identity["select_on"]))),
    }


def _brief(value: Any) -> str:
    return json.dumps(value)[:80]
