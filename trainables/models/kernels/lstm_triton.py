"""The steps of a bidirectional LSTM as one Triton kernel each way.

A program takes a tile of the batch's rows and 64 of the hidden units of one direction through all steps. Programs that
share rows and direction form a group: at each step they need one another's hidden states, so all of a launch run at the
same time, and a group meets after each step. cuDNN launches two kernels a step and direction in place of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from nrtune.trainables.models.kernels.lstm_layout import UNITS


@triton.jit
def _tanh(x):
    """The GPU's own, one instruction; off by 2^-11, where a bf16 number is by 2^-9. Made of exp it takes two."""
    return tl.inline_asm_elementwise("tanh.approx.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def _sigmoid(x):
    return 0.5 * _tanh(0.5 * x) + 0.5


@triton.jit
def _ask_for(pointers):
    """Have the memory bring what is pointed to as far as the L2 cache; nothing waits for it."""
    tl.inline_asm_elementwise(
        "prefetch.global.L2 [$1]; mov.b32 $0, 0;", "=r,l", [pointers.to(tl.int64, bitcast=True)],
        dtype=tl.int32, is_pure=False, pack=1,
    )  # fmt: skip


@triton.jit
def _of_gates(joined, ROWS: tl.constexpr):
    """(ROWS, 256), in eights of units the four gates side by side, as four of (ROWS, 64)."""
    by_unit = tl.permute(tl.reshape(joined, (ROWS, 8, 4, 8)), (0, 1, 3, 2))
    even, odd = tl.split(tl.reshape(by_unit, (ROWS, 64, 2, 2)))
    i, g = tl.split(even)
    f, o = tl.split(odd)
    return i, f, g, o


@triton.jit
def _of_units(h, ROWS: tl.constexpr):
    """(ROWS, 64), the first unit of each eight before the second of any, as (ROWS, 64) in the units' own order.

    Of what has the product's own layout the compiler works out some in that and some in the one of memory, and moves all
    operands from one to the other through shared memory. Of what is reordered it does not.
    """
    return tl.reshape(tl.permute(tl.reshape(h, (ROWS, 8, 8)), (0, 2, 1)), (ROWS, 64))


@triton.jit
def _meet(counter, arrivals):
    """Wait until so many programs have come here since the launch, and see what they wrote before."""
    tl.debug_barrier()
    tl.atomic_add(counter, 1, sem="release")
    while tl.atomic_add(counter, 0, sem="acquire") < arrivals:
        pass
    tl.debug_barrier()


@triton.jit
def forward_steps(
    gates, hidden, cell, weight, counters, n, steps,
    H: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Take (n, steps, 2, 4, H) gates, to which the inputs' part is already added, through all steps.

    They are left activated, in order input, forget, candidate, output. hidden, cell: (n, steps, 2, H), written. weight:
    (2, H / 64, H in, 256), see `_of_gates`. counters: (2, row tiles), zeros. DEPTH: how much of a product's depth is
    loaded at a time.
    """
    kind = gates.dtype.element_ty
    block, direction = tl.program_id(0), tl.program_id(2)
    counter = counters + direction * tl.num_programs(1) + tl.program_id(1)
    rows, start = tl.arange(0, ROWS)[:, None], (tl.program_id(1) * ROWS).to(tl.int64) * steps * 2 * H + direction * H
    units, depth = block * 64 + tl.arange(0, 64)[None, :], tl.arange(0, DEPTH)
    last = n - tl.program_id(1) * ROWS - 1
    there = rows <= last
    row = rows * steps * 2 * H
    gates_at = gates + 4 * start + (4 * row + units)
    hidden_at, cell_at = hidden + start + (row + units), cell + start + (row + units)
    depth_at = hidden + start + (row + depth[None, :])
    weights = weight + (direction * (H // 64) + block) * H * 256 + depth[:, None] * 256 + tl.arange(0, 256)[None, :]
    # One pointer in 32 bytes of a row, which the memory brings at once.
    sectors, asked = block * 64 + tl.arange(0, 4)[None, :] * 16, tl.minimum(rows, last)
    sectors_at = gates + 4 * start + (4 * asked * steps * 2 * H + sectors)
    c = tl.zeros((ROWS, 64), tl.float32)
    for step in range(steps):
        t = step + direction * (steps - 1 - 2 * step)
        before, here = (t + 2 * direction - 1) * 2 * H, gates_at + t * 8 * H
        for gate in tl.static_range(4):
            _ask_for(sectors_at + t * 8 * H + gate * H)
        joined = tl.zeros((ROWS, 256), tl.float32)
        if step > 0:
            for k in tl.range(0, H, DEPTH, num_stages=STAGES):
                h = tl.load(depth_at + before + k, mask=there, other=0.0)
                joined = tl.dot(h, tl.load(weights + k * 256), joined)
        # Loads are early, to wait for several at once, and as late as they must be for all to fit the registers.
        i, f, g, o = _of_gates(joined, ROWS)
        in_i = tl.load(here, mask=there, other=0.0)
        in_g = tl.load(here + 2 * H, mask=there, other=0.0)
        i = _sigmoid(i + in_i.to(tl.float32))
        g = _tanh(g + in_g.to(tl.float32))
        in_f = tl.load(here + H, mask=there, other=0.0)
        in_o = tl.load(here + 3 * H, mask=there, other=0.0)
        tl.store(here, i.to(kind), mask=there)
        tl.store(here + 2 * H, g.to(kind), mask=there)
        f = _sigmoid(f + in_f.to(tl.float32))
        c = f * c + i * g
        tl.store(here + H, f.to(kind), mask=there)
        tl.store(cell_at + t * 2 * H, c.to(kind), mask=there)
        o = _sigmoid(o + in_o.to(tl.float32))
        tl.store(here + 3 * H, o.to(kind), mask=there)
        tl.store(hidden_at + t * 2 * H, (o * _tanh(c)).to(kind), mask=there)
        _meet(counter, (step + 1) * tl.num_programs(0))


@triton.jit
def backward_steps(
    gates, of_gates, of_hidden, of_hidden_row, cell, weight, counters, n, steps,
    H: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write of_gates, the gradients of the gates before their activation, in the shape of gates.

    gates, cell: as `forward_steps` left them. of_hidden: (n, steps, 2, H), of_hidden_row elements from a row to the next.
    weight: (2, 4, H out, H in), of its last 64 columns' order see `_of_units`.
    """
    kind = gates.dtype.element_ty
    block, direction = tl.program_id(0), tl.program_id(2)
    counter = counters + direction * tl.num_programs(1) + tl.program_id(1)
    first_row = (tl.program_id(1) * ROWS).to(tl.int64)
    rows, start = tl.arange(0, ROWS)[:, None], first_row * steps * 2 * H + direction * H
    units, depth = block * 64 + tl.arange(0, 64)[None, :], tl.arange(0, DEPTH)
    last = n - tl.program_id(1) * ROWS - 1
    there = rows <= last
    row = rows * steps * 2 * H
    gates += 4 * start
    of_gates += 4 * start
    gates_at = 4 * row + units
    depth_at = of_gates + (4 * row + depth[None, :])
    cell_at = cell + start + (row + units)
    of_hidden_at = of_hidden + first_row * of_hidden_row + direction * H + (rows * of_hidden_row + units)
    weights = weight + direction * 4 * H * H + depth[:, None] * H + units
    # One pointer in 32 bytes of a row, which the memory brings at once.
    sectors, asked = block * 64 + tl.arange(0, 4)[None, :] * 16, tl.minimum(rows, last)
    cell_sectors_at = cell + start + (asked * steps * 2 * H + sectors)
    gates_sectors_at = gates + (4 * asked * steps * 2 * H + sectors)
    of_hidden_sectors_at = of_hidden + first_row * of_hidden_row + direction * H + (asked * of_hidden_row + sectors)
    of_cell = tl.zeros((ROWS, 64), tl.float32)
    for step in range(steps):
        t = (steps - 1 - step) + direction * (2 * step - steps + 1)
        before, after = (t + 2 * direction - 1) * 2 * H, (t - 2 * direction + 1) * 8 * H
        _ask_for(cell_sectors_at + tl.where(step < steps - 1, before, t * 2 * H))
        _ask_for(of_hidden_sectors_at + t * 2 * H)
        for gate in tl.static_range(4):
            _ask_for(gates_sectors_at + t * 8 * H + gate * H)
        h = tl.zeros((ROWS, 64), tl.float32)
        if step > 0:
            for k in tl.range(0, 4 * H, DEPTH, num_stages=STAGES):
                q = tl.load(depth_at + after + k, mask=there, other=0.0)
                h = tl.dot(q, tl.load(weights + k * H), h)
        # All loads come before the first store, to wait for them at once.
        here, out = gates + gates_at + t * 8 * H, of_gates + gates_at + t * 8 * H
        of_h = tl.load(of_hidden_at + t * 2 * H, mask=there, other=0.0)
        o = tl.load(here + 3 * H, mask=there, other=0.0)
        c = tl.load(cell_at + t * 2 * H, mask=there, other=0.0)
        i = tl.load(here, mask=there, other=0.0)
        g = tl.load(here + 2 * H, mask=there, other=0.0)
        f = tl.load(here + H, mask=there, other=0.0)
        c_before = tl.load(cell_at + before, mask=there & (step < steps - 1), other=0.0)
        h = _of_units(h, ROWS) + of_h.to(tl.float32)
        i, f, g, o = i.to(tl.float32), f.to(tl.float32), g.to(tl.float32), o.to(tl.float32)
        c = _tanh(c.to(tl.float32))
        of_cell += h * o * (1 - c * c)
        tl.store(out + 3 * H, (h * c * o * (1 - o)).to(kind), mask=there)
        tl.store(out, (of_cell * g * i * (1 - i)).to(kind), mask=there)
        tl.store(out + 2 * H, (of_cell * i * (1 - g * g)).to(kind), mask=there)
        tl.store(out + H, (of_cell * c_before.to(tl.float32) * f * (1 - f)).to(kind), mask=there)
        of_cell *= f
        _meet(counter, (step + 1) * tl.num_programs(0))


TILES = (16, 128)
"""Rows a program may have."""

LARGE_SHARED_MEMORY = 160_000
"""Bytes a processor has, to keep more of a product on its way: those of the H100 and A100 do, of smaller GPUs they don't."""


class _Launch(NamedTuple):
    """Some rows of a batch that are run at once, in tiles of `tile`; `large`: the GPU has LARGE_SHARED_MEMORY."""

    rows: slice
    tile: int
    grid: tuple[int, int, int]
    counters: Tensor
    large: bool

    @property
    def warps(self) -> int:
        """Warps a program."""
        return 4 if self.tile == TILES[0] else 8


def _launches(n: int, units: int, device: torch.device) -> Iterator[_Launch]:
    """All rows: in the smaller tiles if so they run at once, else in the larger, as many at a time as do."""
    blocks = units // UNITS
    gpu = torch.cuda.get_device_properties(device)
    large = gpu.shared_memory_per_multiprocessor > LARGE_SHARED_MEMORY
    tiles_at_once = gpu.multi_processor_count // (2 * blocks)
    tile = next((tile for tile in TILES if triton.cdiv(n, tile) <= tiles_at_once), TILES[-1])
    for start in range(0, n, tile * tiles_at_once):
        rows = slice(start, min(n, start + tile * tiles_at_once))
        tiles = triton.cdiv(rows.stop - start, tile)
        counters = torch.zeros(2, tiles, dtype=torch.int32, device=device)
        yield _Launch(rows, tile, (blocks, tiles, 2), counters, large)


def go_forward(gates: Tensor, hidden: Tensor, cell: Tensor, recurrent: Tensor) -> None:
    """Run `forward_steps`: gates (n, steps, 8H), hidden and cell (n, steps, 2H), recurrent (2, 4H, H)."""
    n, steps, _ = hidden.shape
    units = recurrent.shape[2]
    by_eights = recurrent.view(2, 4, units // UNITS, UNITS // 8, 8, units).permute(0, 2, 5, 3, 1, 4).contiguous()
    with torch.cuda.device(gates.device):
        for launch in _launches(n, units, gates.device):
            rows = launch.rows
            forward_steps[launch.grid](
                gates[rows], hidden[rows], cell[rows], by_eights, launch.counters, rows.stop - rows.start, steps,
                H=units, ROWS=launch.tile, DEPTH=64 if launch.large else 32, STAGES=3,
                num_warps=launch.warps, launch_cooperative_grid=True,
            )  # fmt: skip


def go_backward(gates: Tensor, of_gates: Tensor, of_hidden: Tensor, cell: Tensor, recurrent: Tensor) -> None:
    """Run `backward_steps`, which writes of_gates; the tensors' shapes are those of `go_forward`."""
    n, steps, _ = cell.shape
    units = recurrent.shape[2]
    if of_hidden.stride()[1:] != (2 * units, 1):
        of_hidden = of_hidden.contiguous()
    by_units = recurrent.view(2, 4 * units, units // UNITS, UNITS // 8, 8).transpose(3, 4).contiguous()
    with torch.cuda.device(gates.device):
        for launch in _launches(n, units, gates.device):
            rows = launch.rows
            backward_steps[launch.grid](
                gates[rows], of_gates[rows], of_hidden[rows], of_hidden.stride(0), cell[rows], by_units,
                launch.counters, rows.stop - rows.start, steps,
                H=units, ROWS=launch.tile, DEPTH=64, STAGES=6 if launch.large else 3,
                num_warps=launch.warps, launch_cooperative_grid=True,
            )  # fmt: skip
