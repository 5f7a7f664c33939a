"""The kernels of an LSTM where there is no GPU: in Triton's interpreter, and compiled for GPUs."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

triton = pytest.importorskip("triton", reason="Triton is for Linux only")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from nrtune.trainables.models.kernels import lstm_triton  # noqa: E402

pytestmark = pytest.mark.end_to_end

INTERPRETED = Path(__file__).parents[3] / "helpers" / "interpreted_lstm.py"


@pytest.mark.parametrize(
    ("n", "length", "units", "processors"),
    [
        pytest.param(3, 1, 64, 2, marks=pytest.mark.slow),
        (19, 5, 64, 4),
        pytest.param(40, 4, 128, 12, marks=pytest.mark.slow),  # three tiles of 16 rows, two programs a group
        (300, 3, 64, 4),  # two launches of up to two tiles of 128 rows
    ],
)
def test_an_interpreted_lstm_is_torchs_own(n, length, units, processors):
    command = [sys.executable, str(INTERPRETED), *map(str, (n, length, units, processors))]
    run = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr


class Launches:
    """Stands for a kernel, and keeps what it would be launched with."""

    def __init__(self) -> None:
        self.kept: list[tuple[tuple, dict]] = []

    def __getitem__(self, grid):
        return lambda *arguments, **options: self.kept.append((arguments, options))


def compiled(kernel, arguments, options, arch: int):
    """A kernel for a GPU, as its launch on it would have it compiled."""
    names = dict(zip(kernel.arg_names, arguments, strict=False))
    of_launch = {key: options.pop(key) for key in ("num_warps", "launch_cooperative_grid")}
    kinds = {torch.bfloat16: "*bf16", torch.int32: "*i32"}
    signature = {key: kinds[value.dtype] if isinstance(value, torch.Tensor) else "i32" for key, value in names.items()}
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, value in enumerate(arguments)
        if (value.data_ptr() if isinstance(value, torch.Tensor) else value) % 16 == 0
    }
    source = ASTSource(
        fn=kernel,
        signature=signature | dict.fromkeys(options, "constexpr"),
        constexprs={(kernel.arg_names.index(key),): value for key, value in options.items()},
        attrs=aligned,
    )
    return triton.compile(source, target=GPUTarget("cuda", arch, 32), options=of_launch)


def spilled(ptx: str, tmp_path: Path) -> int:
    """Bytes a thread keeps outside its registers."""
    (tmp_path / "kernel.ptx").write_text(ptx)
    (target,) = re.findall(r"\.target (\w+)", ptx)
    run = subprocess.run(
        [triton.knobs.nvidia.ptxas.path, "-v", f"-arch={target}", "kernel.ptx", "-o", "kernel.cubin"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (stored,) = re.findall(r"(\d+) bytes spill stores", run.stderr)
    return int(stored)


@pytest.mark.parametrize(("n", "units"), [(1, 64), pytest.param(64, 320, marks=pytest.mark.slow), (1024, 320)])
@pytest.mark.parametrize(
    ("arch", "processors", "shared_memory"),
    [
        pytest.param(80, 108, 163 * 1024, id="A100", marks=pytest.mark.slow),
        pytest.param(89, 142, 99 * 1024, id="L40S"),  # the least shared memory
        pytest.param(90, 132, 227 * 1024, id="H200"),
        pytest.param(100, 148, 227 * 1024, id="B200", marks=pytest.mark.slow),
    ],
)
def test_kernels_fit_the_gpu(n, units, arch, processors, shared_memory, monkeypatch, tmp_path):
    """A program's shared memory, and on the GPU that they are made for all but a few bytes its registers too."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    of_gpu = SimpleNamespace(multi_processor_count=processors, shared_memory_per_multiprocessor=shared_memory + 1024)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: of_gpu)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    steps = 3
    gates, hidden = (torch.empty(n, steps, parts * 2 * units, dtype=torch.bfloat16) for parts in (4, 1))
    recurrent = torch.empty(2, 4 * units, units, dtype=torch.bfloat16)
    for name, arguments in (
        ("forward", (gates, hidden, hidden, recurrent)),
        ("backward", (gates, gates, hidden, hidden, recurrent)),
    ):
        kernel, launches = getattr(lstm_triton, f"{name}_steps"), Launches()
        monkeypatch.setattr(lstm_triton, f"{name}_steps", launches)
        getattr(lstm_triton, f"go_{name}")(*arguments)
        found = compiled(kernel, *launches.kept[0], arch)
        assert found.metadata.shared <= shared_memory
        if arch == 90:
            assert spilled(found.asm["ptx"], tmp_path) <= 128
