"""A headless Chromium of this machine, and what looks for barriers in its pages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip

AXE = "axe-core@4.11.0"
"""Of npm, which checks what it gets. Its licence is MPL 2.0: it is fetched where a test needs it, and never kept here."""


def chromium() -> str:
    """A Chromium's path; skips where there is none."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    path = next((path for path in found if path), None)
    if path is None:
        pytest.skip("no Chromium on this machine")
    return path


def axe(folder: Path) -> Path:
    """axe-core's script, fetched by npm into a folder; skips where npm is missing or can't reach its registry."""
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if script.exists():
        return script
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine, which fetches axe-core")
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", AXE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm can't fetch {AXE}: {done.stderr.strip()[-200:]}")
    return script
