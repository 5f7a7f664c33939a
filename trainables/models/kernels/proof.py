"""Kernels prove themselves: before its first use on a device one is compared with PyTorch's own layer, in results and speed."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

AUTO, TORCH, TRITON = "auto", "torch", "triton"
KERNELS = (AUTO, TORCH, TRITON)
"""Which layers train: the faster ones that are proven right; PyTorch's own; ours wherever they are right, however fast."""

ALLOWED = 0.02
"""Root mean square error over that of what is right: bf16 rounds by 2^-9, and results were off by 0.008 at most."""
ROWS = 32
"""Sequences of the small batch that results are compared on."""
ROUNDS, WARM_UP = 5, 2
USED = "used"


class Proof(NamedTuple):
    """What came of a comparison. error: the largest, of the output and of each gradient. times: as fast as PyTorch's own."""

    error: float
    times: float

    def verdict(self, kernels: str) -> str:
        """USED, or why not."""
        if not self.error <= ALLOWED:  # NaN too
            return f"not used: off by {self.error:.2g} of what PyTorch gives, more than bf16 explains"
        if kernels == AUTO and self.times < 1:
            return f"not used: {self.times:.2f} times as fast as PyTorch's own"
        return USED


@runtime_checkable
class Provable(Protocol):
    """A layer that has two ways: PyTorch's own, and a kernel. The kernel's is taken once `proven`."""

    KERNEL: ClassVar[str]
    proven: bool

    def applies(self, features: Tensor) -> bool:
        """Whether there is a kernel for such features on their device."""

    def by_kernel(self, features: Tensor) -> Tensor:
        """The layer in bf16, by the kernel."""

    def by_torch(self, features: Tensor) -> Tensor:
        """The layer as PyTorch has it, in what type the features and the surroundings say."""


_found: dict[tuple[object, ...], Proof | str] = {}


def prove(model: nn.Module, tokens: Tensor, kernels: str = AUTO) -> dict[str, str]:
    """Decide for each layer of a model that has a kernel whether it is used, and return what was decided by the kernel's name.

    tokens: a batch, (n, length), on the model's device, of the size that is trained with: speeds are compared on that. A
    comparison is made once a process, shape and device, of random numbers of its own. One that is not used is said once.
    """
    said: dict[str, str] = {}
    for layer, shape in _shapes(model, tokens):
        if kernels == TORCH or not layer.applies(torch.empty((1, *shape[1:]), device=tokens.device)):
            layer.proven = False
            continue
        key = (type(layer), *(tuple(value.shape) for value in _parameters(layer)), shape, tokens.device)
        if key not in _found:
            _found[key] = _compared(layer, shape, tokens.device)
        found = _found[key]
        verdict = found if isinstance(found, str) else found.verdict(kernels)
        layer.proven = verdict == USED
        if said.get(layer.KERNEL, USED) == USED:
            said[layer.KERNEL] = verdict
    for kernel, verdict in said.items():
        if verdict != USED:
            warnings.warn(f"the kernel {kernel} is {verdict}", stacklevel=2)
    return said


def _parameters(layer: Provable) -> list[Tensor]:
    assert isinstance(layer, nn.Module)
    return list(layer.parameters())


def _shapes(model: nn.Module, tokens: Tensor) -> list[tuple[Provable, tuple[int, ...]]]:
    """The layers that have a kernel, and the shape of what each is given."""
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        shapes[layer] = tuple(given[0].shape)

    layers = [layer for layer in model.modules() if isinstance(layer, Provable)]
    if not layers:
        return []
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()
            model(tokens[:1])
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return [(layer, (len(tokens), *shapes[layer][1:])) for layer in layers if layer in shapes]


def _compared(layer: Provable, shape: tuple[int, ...], device: torch.device) -> Proof | str:
    """Compare a layer's two ways on features of a shape; a sentence where its kernel can't be run at all."""
    drawn = torch.Generator().manual_seed(0)
    features = torch.randn(shape, generator=drawn).to(device)
    try:
        error = _error(layer, features[:ROWS])
        return Proof(error, _seconds(layer, layer.by_torch, features) / _seconds(layer, layer.by_kernel, features))
    except torch.OutOfMemoryError:
        raise
    except Exception as failure:  # whatever a compiler raises: the training goes on by PyTorch's own
        return f"not used: it can't be run ({str(failure).splitlines()[0][:200] if str(failure) else type(failure).__name__})"


def _error(layer: Provable, features: Tensor) -> float:
    """The largest error of the kernel's output and gradients, over what PyTorch gives in float32."""
    gradient = None
    both: list[Sequence[Tensor]] = []
    for way, dtype in ((layer.by_torch, torch.float32), (layer.by_kernel, torch.bfloat16)):
        given = features.to(dtype).requires_grad_()
        with torch.enable_grad(), torch.autocast(features.device.type, enabled=False):
            output = way(given)
            if gradient is None:
                gradient = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).to(features.device)
            of = torch.autograd.grad(output, [given, *_parameters(layer)], gradient.to(output.dtype))
        both.append([output.detach(), *of])
    errors = [
        float((found.double() - right.double()).square().mean().sqrt() / right.double().square().mean().sqrt())
        for right, found in zip(*both, strict=True)
    ]
    return float(np.max(errors))  # NaN if any is


def _seconds(layer: Provable, way: Callable[[Tensor], Tensor], features: Tensor) -> float:
    """The median time of a step there and back, as in training."""
    taken: list[float] = []
    for _ in range(WARM_UP + ROUNDS):
        given = features.bfloat16().requires_grad_()
        _wait(features.device)
        started = perf_counter()
        with torch.enable_grad(), torch.autocast(features.device.type, torch.bfloat16):
            output = way(given)
            torch.autograd.grad(output, [given, *_parameters(layer)], torch.ones_like(output))
        _wait(features.device)
        taken.append(perf_counter() - started)
    return statistics.median(taken[WARM_UP:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
