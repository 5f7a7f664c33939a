"""The kernels of an LSTM in Triton's interpreter, each program of a launch a process of its own, so that groups do meet.

    TRITON_INTERPRET=1 python tests/helpers/interpreted_lstm.py N LENGTH UNITS PROCESSORS

Fails where hidden states or gradients are not those of torch's LSTM. PROCESSORS are those of the GPU that is played.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import SimpleNamespace

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from triton.runtime import interpreter

from nrtune.trainables.models.kernels import lstm, lstm_triton


@triton.jit
def tanh(x):
    """In place of the GPU's own instruction."""
    return 2 / (1 + tl.exp(-2 * x)) - 1


@triton.jit
def look_at(pointers):
    """In place of asking for it; also shows that it is there."""
    tl.load(pointers)


class AtOnce:
    """A kernel whose programs run at the same time, as those of a cooperative launch do."""

    def __init__(self, kernel: interpreter.InterpretedFunction) -> None:
        self.kernel = kernel

    def __getitem__(self, grid: tuple[int, int, int]):
        def launch(*arguments: Tensor | int, **options: int | bool) -> None:
            for argument in arguments:
                if isinstance(argument, Tensor):
                    argument.untyped_storage().share_memory_()
            programs = [
                self._start(grid, program, arguments, options)
                for program in torch.cartesian_prod(*map(torch.arange, grid)).tolist()
            ]
            if any([os.waitpid(pid, 0)[1] for pid in programs]):
                raise RuntimeError("a program failed")

        return launch

    def _start(self, grid, program, arguments, options) -> int:
        pid = os.fork()
        if pid:
            return pid
        failed = True
        signal.alarm(100)  # where one fails the others would wait for it
        try:
            # The interpreter takes programs one by one; this one is the only one of its grid, but is told of all.
            builder = interpreter.interpreter_builder
            dim, idx = builder.set_grid_dim, builder.set_grid_idx
            builder.set_grid_dim, builder.set_grid_idx = lambda *_: dim(*grid), lambda *_: idx(*program)
            self.kernel[1, 1, 1](*arguments, **options)
            failed = False
        finally:
            sys.stderr.flush()
            os._exit(failed)


def main(n: int, length: int, units: int, processors: int) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    gpu = SimpleNamespace(multi_processor_count=processors, shared_memory_per_multiprocessor=0)
    torch.cuda.device, torch.cuda.get_device_properties = contextlib.nullcontext, lambda _: gpu
    lstm_triton._tanh, lstm_triton._ask_for = tanh, look_at
    lstm_triton.forward_steps = AtOnce(lstm_triton.forward_steps)
    lstm_triton.backward_steps = AtOnce(lstm_triton.backward_steps)
    lstm._steps = lambda _: lstm_triton
    network = lstm.BidirectionalLSTM(8, units)
    features = torch.randn(n, length, 8, requires_grad=True)
    inputs, gradient = [features, *network.parameters()], torch.randn(n, length + 1, 2 * units)[:, 1:]
    found, exact = network.by_steps(features, torch.float32), nn.LSTM.forward(network, features)[0]
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-5)
    for ours, right in zip(*(torch.autograd.grad(of, inputs, gradient) for of in (found, exact)), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
