#!/usr/bin/env bash
# All that needs a GPU, in under twelve minutes: its tests, how fast a step is, accuracy of three seeds, trials packed on one.
#
#     benchmarks/gpu.sh [FILE.json]
#
# Writes one JSON file, gpu.json unless another is named. PYTHON names the interpreter, .venv's by default; Ray isn't needed.
set -euo pipefail
out=$(realpath -m "${1:-gpu.json}")
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
PYTHONPATH=src exec "$python" benchmarks/gpu.py "$out"
