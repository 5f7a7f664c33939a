"""A bidirectional LSTM on (n, length, channels): torch's own, or for training in bf16 on a GPU one kernel each way."""

from __future__ import annotations

import functools
import importlib.util
from types import ModuleType
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nrtune.trainables.models.kernels import lstm_torch
from nrtune.trainables.models.kernels.lstm_layout import UNITS

HAS_TRITON = torch.version.hip is None and importlib.util.find_spec("triton") is not None
"""It comes with PyTorch's CUDA builds."""


class BidirectionalLSTM(nn.LSTM):
    """`nn.LSTM` of one layer, both ways; parameters have its names and shapes. `proven`: the kernels are used, see `proof`."""

    KERNEL: ClassVar[str] = "lstm"

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__(inputs, units, batch_first=True, bidirectional=True)
        self.proven = False

    def forward(self, input: Float[Tensor, "n length c"]) -> Float[Tensor, "n length u2"]:  # type: ignore[override]
        """Return the hidden states of both directions, side by side."""
        if not in_bf16_on_gpu(input):
            return super().forward(input)[0].contiguous()
        return self.by_kernel(input) if self.proven else self.by_torch(input)

    def by_torch(self, input: Float[Tensor, "n length c"]) -> Float[Tensor, "n length u2"]:
        """Return the same by torch, in float32: autocast would take float16, too coarse for its small gradients."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())[0].contiguous()

    def by_kernel(self, input: Float[Tensor, "n length c"]) -> Float[Tensor, "n length u2"]:
        """Return the same by the kernels, in bf16."""
        return self.by_steps(input, torch.bfloat16)

    def by_steps(self, input: Float[Tensor, "n length c"], dtype: torch.dtype) -> Float[Tensor, "n length u2"]:
        """Return the same, worked out in a type by the kernels or, on a CPU, by what stands in for them."""
        of_inputs, recurrent, of_input_bias, of_recurrent_bias = (
            torch.stack([getattr(self, f"{name}_{suffix}") for suffix in ("l0", "l0_reverse")])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        bias = (of_input_bias + of_recurrent_bias).flatten()
        features, *weights = (
            values.to(dtype) for values in (input.contiguous(), of_inputs.flatten(0, 1), recurrent, bias)
        )
        hidden: Tensor = _forward(features, *weights)[0]
        return hidden

    def applies(self, features: Tensor) -> bool:
        """Whether there are kernels: the GPU has bf16 units, and as many processors as one tile of rows takes."""
        if not features.is_cuda:
            return False
        of = torch.cuda.get_device_properties(features.device)
        blocks, rest = divmod(self.hidden_size, UNITS)
        return HAS_TRITON and rest == 0 and of.major >= 8 and of.multi_processor_count >= 2 * blocks


def in_bf16_on_gpu(features: Tensor) -> bool:
    """Whether features are worked on by a GPU under bf16 autocast."""
    under_autocast = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda") == torch.bfloat16
    return features.is_cuda and under_autocast


@functools.cache
def _steps(device: torch.device) -> ModuleType:
    """The module that takes an LSTM through its steps: Triton's kernels on a GPU, what stands in for them on a CPU."""
    if device.type == "cuda":
        from nrtune.trainables.models.kernels import lstm_triton

        return lstm_triton
    return lstm_torch


@torch.library.custom_op("nrtune::bidirectional_lstm", mutates_args=())
def _forward(features: Tensor, of_inputs: Tensor, recurrent: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states (n, length, 2H), activated gates (n, length, 8H) and cells, of features (n, length, c).

    of_inputs (8H, c), recurrent (2, 4H, H), bias (8H,): the forward direction first, gates in torch's order.
    """
    gates = torch.addmm(bias, features.flatten(0, 1), of_inputs.T).view(*features.shape[:2], -1)
    hidden = features.new_empty(*features.shape[:2], 2 * recurrent.shape[2])
    cell = torch.empty_like(hidden)
    _steps(features.device).go_forward(gates, hidden, cell, recurrent)
    return hidden, gates, cell


@_forward.register_fake
def _(features: Tensor, of_inputs: Tensor, recurrent: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    hidden = features.new_empty(*features.shape[:2], 2 * recurrent.shape[2])
    gates = features.new_empty(*features.shape[:2], 8 * recurrent.shape[2])
    return hidden, gates, torch.empty_like(hidden)


@torch.library.custom_op("nrtune::bidirectional_lstm_backward", mutates_args=())
def _backward(
    of_hidden: Tensor,
    features: Tensor,
    of_inputs: Tensor,
    recurrent: Tensor,
    hidden: Tensor,
    gates: Tensor,
    cell: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of features, of_inputs, recurrent and bias."""
    units = recurrent.shape[2]
    of_gates = torch.empty_like(gates)
    _steps(features.device).go_backward(gates, of_gates, of_hidden, cell, recurrent)
    rows, states = of_gates.flatten(0, 1), hidden.flatten(0, 1)
    of_features = (rows @ of_inputs).view_as(features)
    of_input_weights, of_bias = rows.T @ features.flatten(0, 1), rows.sum(dim=0)
    # Row by row a gate meets the hidden state that it came from; none came before a direction's first step.
    of_gates[:, 0, : 4 * units] = 0
    of_gates[:, -1, 4 * units :] = 0
    of_recurrent = torch.stack([
        rows[1:, : 4 * units].T @ states[:-1, :units],
        rows[:-1, 4 * units :].T @ states[1:, units:],
    ])  # fmt: skip
    return of_features, of_input_weights, of_recurrent, of_bias


@_backward.register_fake
def _(of_hidden: Tensor, *saved: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    features, of_inputs, recurrent, _, gates, _ = saved
    of_bias = gates.new_empty(gates.shape[2])
    return torch.empty_like(features), torch.empty_like(of_inputs), torch.empty_like(recurrent), of_bias


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:3], *output)


def _gradients(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = _backward(gradients[0], *ctx.saved_tensors)
    return found


_forward.register_autograd(_gradients, setup_context=_keep)
