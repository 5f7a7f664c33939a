"""What a campaign is run with: versions, nrtune's git commit where it is known, and the machine that it was started on."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

PACKAGES = ("nrtune", "torch", "ray", "optuna", "numpy")
GIT_SECONDS = 5.0


@functools.cache
def software() -> dict[str, str]:
    """Versions by package, `python`, `git commit` (+ where files differ from it) if nrtune's is known, and `device`."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    found |= {"python": platform.python_version(), "device": _device()}
    commit = git_commit()
    return found if commit is None else {**found, "git commit": commit}


def git_commit() -> str | None:
    """The commit that nrtune was installed from, or that its checkout is at, + where its files differ; None if unknown."""
    told = importlib.metadata.distribution("nrtune").read_text("direct_url.json")
    if told is not None and (commit := json.loads(told).get("vcs_info", {}).get("commit_id")):
        return str(commit)
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():
        return None
    try:
        commit = _git(top, "rev-parse", "HEAD")
        return f"{commit}+" if _git(top, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):  # no git, another's checkout, or one without a commit
        return None


def _git(top: Path, *arguments: str) -> str:
    command = ["git", "-C", str(top), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True).stdout.strip()  # noqa: S603  # git, with a list


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    return f"{os.cpu_count()} cores, {platform.machine()}, no GPU"
