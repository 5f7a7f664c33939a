"""How long the command takes to start: `--help`, `best`, and a search until its first trial trains.

    python benchmarks/start_up.py [--rounds 5]

A campaign of two trials on simulated data is made first, which also warms the disk. `best` is asked of it. The search is a
new one on the same data; its first trial trains from when its first epoch began, as its history has it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NRTUNE = Path(sys.executable).with_name("nrtune")


def seconds(*arguments: str) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    subprocess.run([NRTUNE, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def until_training(data: Path, out: Path) -> float:
    """Seconds from a search's start to that of the first epoch of its first trial."""
    started = time.time()
    subprocess.run([NRTUNE, "search", "--data", data, "--out", out, "--families", "baseline", "--trials", "2", "--epochs", "1"],
                   check=True, capture_output=True)  # fmt: skip
    histories = list(out.glob("trials/*/history.json"))
    begun = [path.stat().st_mtime - json.loads(path.read_text())[0]["seconds"] for path in histories]
    shutil.rmtree(out)
    return min(begun) - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds, write = parser.parse_args().rounds, sys.stdout.write
    with tempfile.TemporaryDirectory() as folder:
        seconds("demo", "--out", folder)
        campaign, data = Path(folder) / "campaign", next((Path(folder) / "data").glob("*.h5"))
        for name, measure in {
            "nrtune --help": lambda: seconds("--help"),
            "nrtune best": lambda: seconds("best", str(campaign)),
            "nrtune search, until its first trial trains": lambda: until_training(data, Path(folder) / "again"),
        }.items():
            found = statistics.median(measure() for _ in range(rounds))
            write(f"{name}: {found:.2f} s\n")


if __name__ == "__main__":
    main()
