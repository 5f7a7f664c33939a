"""Layers on (n, length, channels): the layout that convolutions, norms and an LSTM share with the least copying.

Parameters keep the names and shapes of torch's own layers.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, dropout, pad

DROPOUT_STEPS = 1 << 16
"""On a CPU a dropout's probability is a multiple of 1/65536: its random numbers have 16 bits."""


class Convolution(nn.Conv1d):
    """`nn.Conv1d` on (n, length, channels)."""

    def forward(self, input: Float[Tensor, "n length c"]) -> Float[Tensor, "n length2 c2"]:
        """Convolve along the length. As an image of height 1 the layout is channels last, which backends work in."""
        image = input.transpose(1, 2).unsqueeze(2)
        padding, dilation = (0, int(self.padding[0])), (1, self.dilation[0])
        convolved = conv2d(image, self.weight.unsqueeze(2), self.bias, padding=padding, dilation=dilation)
        return convolved.squeeze(2).transpose(1, 2)


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` on (n, length, channels)."""

    def forward(self, input: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c"]:
        """Normalise each channel over the batch and the length."""
        return super().forward(input.flatten(0, 1)).view(input.shape)


class ReluDropoutPool(nn.Module):
    """ReLU, dropout, then the maximum of every `pool` positions, the last of which may be fewer."""

    def __init__(self, dropout: float, pool: int = 1) -> None:
        super().__init__()
        self.dropout, self.pool = dropout, pool

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length2 c"]:
        """Return ceil(length / pool) positions. The gradient of positions that are equally large is shared among them."""
        if self.training and features.device.type == "cpu":
            pooled: Tensor = _ReluDropoutPool.apply(features, self.dropout, self.pool)  # type: ignore[no-untyped-call]
            return pooled
        kept = dropout(torch.relu(features), self.dropout, self.training)
        return kept if self.pool == 1 else _windows(kept, self.pool).amax(dim=2)


class _ReluDropoutPool(torch.autograd.Function):
    """All three at once, in training on a CPU.

    ReLU and a maximum can be swapped, so it acts on what is left after pooling; and what the gradient is multiplied by
    is made on the way forward, in place. torch's own dropout draws 32 bits or more an element there, its max pool
    looks at one element at a time: together they took four times as long.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, probability: float, pool: int) -> Tensor:
        windows = _windows(features, pool)
        dropped = round(probability * DROPOUT_STEPS)
        scale = DROPOUT_STEPS / (DROPOUT_STEPS - dropped)
        kept = _at_least(dropped, windows).mul_(windows)
        largest = kept.amax(dim=2)
        slope = kept.eq_(largest.unsqueeze(2))
        share = torch.where(largest > 0, scale / slope.sum(dim=2), 0)
        ctx.save_for_backward(slope.mul_(share.unsqueeze(2)))
        ctx.length = features.shape[1]
        return largest.relu_().mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return (slope * gradients[0].unsqueeze(2)).flatten(1, 2)[:, : ctx.length], None, None


def _windows(features: Tensor, pool: int) -> Tensor:
    """(n, length, c) as (n, windows, pool, c), zeros behind the last position."""
    missing = -features.shape[1] % pool
    padded = pad(features, (0, 0, 0, missing)) if missing else features
    windows: Tensor = padded.unflatten(1, (-1, pool))
    return windows


def _at_least(threshold: int, like: Tensor) -> Tensor:
    """1 where a random number of 0 to 65535 is at least the threshold, elsewhere 0, in the shape and type of `like`."""
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    sixteen_bits = draws.view(torch.int16)[: like.numel()].view(like.shape)
    return sixteen_bits.ge_(threshold - DROPOUT_STEPS // 2).to(like.dtype)
