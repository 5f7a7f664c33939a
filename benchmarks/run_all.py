"""Run every benchmark of this folder at a small size and write what they print to docs/benchmarks.md.

    python benchmarks/run_all.py [NAME…]

With names, only those are run, and printed alone. Without a GPU those of training measure a CPU.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import psutil
import torch

HERE = Path(__file__).parent
REPORT = HERE.parent / "docs" / "benchmarks.md"
ON_A_CPU = (
    ("training", "--cases small:64,small:1024 --rounds 3"),
    ("training", "--cases study:4 --losses mse,rank_stability --rounds 2 --steps 4"),
    ("packed_trials", "--preset small --batch 64 --counts 1,2 --seconds 5"),
)
ON_A_GPU = (
    ("training", "--cases small:64,small:1024,study:1024 --precisions float32,bf16"),
    ("training", "--cases study:1024 --losses mse --precisions bf16 --compile"),
    ("precisions", ""),
    ("packed_trials", "--counts 1,2,4,8"),
)
SMALL = (
    *(ON_A_GPU if torch.cuda.is_available() else ON_A_CPU),
    ("losses", "--sizes 128,1024 --no-loops"),
    ("node_memory", "--sequences 50000"),
    ("start_up", ""),
    ("orchestration", "--most 300"),
    ("intervals", "--trials 20 --resamples 2000"),
    ("coverage", "--campaigns 100 --seeds 3"),
    ("verdicts", "--campaigns 4 --commands 1"),
    ("power", "--campaigns 8"),
    ("simulated_truth", "--seeds 2 --epochs 2"),
    ("audit", ""),
    ("recipes", "--rows 1000 --epochs 2 --seeds 2 --ways study,field,all,bf16"),
    ("regret", "--seeds 4"),
    ("checks", "--times 1"),
)
"""Each benchmark's name and options. One thread is used where a benchmark does not say otherwise."""

PACKAGES = ("torch", "ray", "optuna", "mlflow", "numpy", "pandas", "scipy")


def machine() -> str:
    """What the figures were measured on."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{time.strftime('%Y-%m-%d')}; {processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {gpu}; "
        f"{platform.system()}, Python {platform.python_version()}, {versions}."
    )


def run(name: str, options: str) -> str:
    """What a benchmark prints. Raises CalledProcessError where it fails."""
    command = [sys.executable, str(HERE / f"{name}.py"), *options.split()]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout.strip()


def main() -> None:
    """Run and write."""
    names = sys.argv[1:]
    parts = [
        "# Benchmarks",
        "`make bench` writes this page. Machines are noisy: compare ratios, which are taken within one run, not seconds.",
        machine(),
    ]
    for name, options in SMALL:
        if names and name not in names:
            continue
        started = time.monotonic()
        found = run(name, options)
        command = f"python benchmarks/{name}.py {options}".rstrip()
        parts += [f"## {name}", f"`{command}`", found]
        sys.stderr.write(f"{command}: {time.monotonic() - started:.0f} s\n")
        if names:
            sys.stdout.write(found + "\n")
    if not names:
        REPORT.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
