"""All that needs a GPU, one after the other, each with the seconds it may take: `benchmarks/gpu.sh`. Under twelve minutes.

    python benchmarks/gpu.py FILE.json

The file has the device, and of each step its command, exit code (124: out of time), seconds and what it printed. It is written
after each step, so that what was measured stays.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

TOP = Path(__file__).parents[1]
STEPS = {
    "gpu tests": ("-m pytest -q -m gpu tests/trainables -p no:cacheprovider", 150),
    "a step, float32 and bf16": (
        "benchmarks/training.py --cases study:1024 --losses mse --precisions float32,bf16 --rounds 3", 120,
    ),
    "a step, bf16 compiled": (
        "benchmarks/training.py --cases study:1024 --losses mse --precisions bf16 --compile --rounds 3", 120,
    ),
    "accuracy of three seeds": ("benchmarks/precisions.py --epochs 1 --ways float32,bf16 --seeds 3", 150),
    "trials packed on the device": ("benchmarks/packed_trials.py --counts 1,2,4,8 --seconds 5", 150),
}  # fmt: skip
"""What is run, and the seconds after which it is ended: 690 together."""

TIMED_OUT = 124


def main() -> None:
    """Run the steps and write the file. The exit code is 1 where there is no GPU or a step failed."""
    path = Path(sys.argv[1])
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py: there is no CUDA device here; nothing was measured")
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "steps": {},
    }
    for name, (command, limit) in STEPS.items():
        sys.stderr.write(f"{name}: python {command}\n")
        found["steps"][name] = step(command, limit)
        path.write_text(json.dumps(found, indent=1) + "\n")
    codes = [one["code"] for one in found["steps"].values()]
    sys.stdout.write(f"{path}\n")
    sys.exit(int(any(codes)))


def step(command: str, limit: float) -> dict[str, Any]:
    """What came of a command of this interpreter."""
    started = time.perf_counter()
    try:
        run = subprocess.run(
            [sys.executable, *command.split()], cwd=TOP, capture_output=True, text=True, timeout=limit, check=False
        )
        code, printed, said = run.returncode, run.stdout, run.stderr
    except subprocess.TimeoutExpired as late:
        code, printed, said = TIMED_OUT, _text(late.stdout), _text(late.stderr)
    seconds = round(time.perf_counter() - started, 1)
    return {"command": f"python {command}", "code": code, "seconds": seconds, "printed": printed, "said": said[-4000:]}


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


if __name__ == "__main__":
    main()
