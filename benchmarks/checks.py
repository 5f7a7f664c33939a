"""How long the installation, the checks, the tests and the demonstration take, each in a clean clone of what is committed.

    python benchmarks/checks.py [--times 3] [--steps set-up,check,test,demo]

Every clone has caches of its own, uv's included, so packages are downloaded. `test` goes on in the clone of `check`, `demo`
has its own and installs what a user needs. The slowest of the times counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).parents[1]
COMMANDS = {
    "set-up": ["make", ".venv/.dev"],
    "check": ["make", "check"],
    "test": ["make", "test"],
    "demo": ["make", "demo"],
}


def clone(folder: Path) -> dict[str, str]:
    """Clone the repository into a folder; returns the environment of its commands."""
    subprocess.run(["git", "clone", "--quiet", TOP, folder / "nrtune"], check=True)
    data = os.environ.get("NRTUNE_TEST_DATA", str(TOP.parent / "shared" / "data"))
    return {**os.environ, "UV_CACHE_DIR": str(folder / "cache"), "NRTUNE_TEST_DATA": data}


def seconds(step: str, folder: Path, environment: dict[str, str]) -> float:
    """How long a step takes; what it printed is shown if it fails."""
    before = time.perf_counter()
    done = subprocess.run(
        COMMANDS[step],
        cwd=folder / "nrtune",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{step} failed:\n{done.stdout}")
    return time.perf_counter() - before


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--steps", default=",".join(COMMANDS))
    options = parser.parse_args()
    steps = options.steps.split(",")
    found: dict[str, list[float]] = {step: [] for step in steps}
    for _ in range(options.times):
        for group in (["demo"], ["set-up", "check", "test"]):
            wanted = [step for step in group if step in steps]
            if not wanted:
                continue
            with tempfile.TemporaryDirectory() as name:
                environment = clone(Path(name))
                for step in wanted:
                    found[step].append(seconds(step, Path(name), environment))
    print("| step | seconds, each time | slowest |")  # noqa: T201
    print("|---|---|---|")  # noqa: T201
    for step in steps:
        each = ", ".join(f"{value:.0f}" for value in found[step])
        print(f"| `{' '.join(COMMANDS[step])}` | {each} | {max(found[step]):.0f} |")  # noqa: T201


if __name__ == "__main__":
    main()
