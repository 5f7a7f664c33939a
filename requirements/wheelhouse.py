"""Collect all wheels that nrtune and a cluster's nodes need, for a machine without internet: `make wheelhouse`.

    python requirements/wheelhouse.py FOLDER     fill FOLDER, for this Python and this kind of machine

There: python -m venv venv; venv/bin/pip install --no-index --find-links FOLDER 'nrtune[cluster]'

Versions and SHA-256 are those of cluster.txt. PyTorch comes as the build for CPUs unless a GPU is found here; TORCH=cpu or
TORCH=cu130 says what the other machine has. dist/ must have nrtune's own wheel: `make dist`.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from install import (
    HERE,
    TOP,
    InstallError,
    choose_torch,
    gpu_found,
    has_cpu_build,
    locked_torch,
    pip_configuration,
    run,
    say,
)

INDEX = "https://download.pytorch.org/whl"


def collect(folder: Path) -> None:
    """Fill a folder. Raises InstallError; what is there already is not downloaded again."""
    wheels = sorted((TOP / "dist").glob("nrtune-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise InstallError("dist/ has no wheel of nrtune: run `make dist` first")
    linux = sys.platform == "linux"
    asked = os.environ.get("TORCH") or "auto"
    backend, sentence = choose_torch(asked, gpu_found(), linux)
    if backend == "auto":
        raise InstallError(
            "say which PyTorch the other machine needs: TORCH=cpu, or a CUDA version such as TORCH=cu130"
        )
    say(f"for Python {sys.version_info.major}.{sys.version_info.minor} on {sys.platform}; {sentence}")
    folder.mkdir(parents=True, exist_ok=True)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", folder]
    locked = [*download, "--no-deps", "--require-hashes"]
    run(*locked, "-r", HERE / "cluster.txt")
    if backend == "cpu":
        there = not linux or has_cpu_build(pip_configuration().get("find-links", ""))
        run(*locked, "-r", HERE / "torch-cpu.txt", *([] if there else ["--extra-index-url", f"{INDEX}/cpu"]))
    else:  # CUDA's libraries are pinned by the build itself
        run(*download, "--index-url", f"{INDEX}/{backend}", "--constraint", TOP / "constraints.txt",
            f"torch=={locked_torch()}+{backend}")  # fmt: skip
    for old in folder.glob("nrtune-*.whl"):
        old.unlink()
    shutil.copy(wheels[-1], folder)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
    say(f"{folder}: {len(list(folder.glob('*.whl')))} wheels, {size:.1f} GB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python requirements/wheelhouse.py FOLDER")
    try:
        collect(Path(sys.argv[1]))
    except InstallError as error:
        say(str(error))
        sys.exit(2)
