"""Layers on (n, length, channels): the layout that convolutions, norms and an LSTM share with the least copying.

Parameters keep the names and shapes of torch's own layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm, conv2d, dropout, pad

DROPOUT_STEPS = 1 << 16
"""On a CPU a dropout's probability is a multiple of 1/65536: its random numbers have 16 bits."""

EXP_LIMIT = 6.0
"""The exponential's input counts as this where it is above: exp 6 is 403, and the gradient there 0."""


class Convolution(nn.Conv1d):
    """`nn.Conv1d` on (n, length, channels)."""

    def forward(self, input: Float[Tensor, "n length c"]) -> Float[Tensor, "n length2 c2"]:
        """Convolve along the length. As an image of height 1 the layout is channels last, which backends work in."""
        image = input.transpose(1, 2).unsqueeze(2)
        padding, dilation = (0, int(self.padding[0])), (1, self.dilation[0])
        weight = self.weight.unsqueeze(2)
        convolved = conv2d(image, weight, self.bias, padding=padding, dilation=dilation, groups=self.groups)
        return convolved.squeeze(2).transpose(1, 2)


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` on (n, length, channels)."""

    def forward(self, input: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c"]:
        """Normalise each channel over the batch and the length; one position alone, which has no variance, as in evaluation."""
        rows = input.flatten(0, 1)
        if self.training and len(rows) == 1:
            normed = batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
            return normed.view(input.shape)
        return super().forward(rows).view(input.shape)


class LimitedExp(nn.Module):
    """exp of the input, clamped above at `EXP_LIMIT`.

    As the activation of a first convolution: Koo and Ploenzke, Nat. Mach. Intell. 2021, doi:10.1038/s42256-020-00291-x.
    """

    def forward(self, features: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return e to the power of each number."""
        return features.clamp(max=EXP_LIMIT).exp()


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "exp": LimitedExp}
"""What may follow a convolution, by the names that encoders' parameters have."""


class Dropout(nn.Module):
    """`nn.Dropout`, by fewer random bits in training on a CPU."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, features: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop numbers in training, and scale those that are left."""
        if not self.training or self.probability == 0:
            return features
        if features.device.type != "cpu":
            return dropout(features, self.probability, self.training)
        dropped = round(self.probability * DROPOUT_STEPS)
        return features * _at_least(dropped, features).mul_(DROPOUT_STEPS / (DROPOUT_STEPS - dropped))


class ChannelDropout(nn.Module):
    """`nn.Dropout1d` on (n, length, channels): a sequence loses whole channels."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c"]:
        """Drop channels in training, and scale those that are left."""
        if not self.training or self.probability == 0:
            return features
        n, _, channels = features.shape
        return features * dropout(features.new_ones(n, 1, channels), self.probability, self.training)


class MaxPool(nn.Module):
    """The maximum of every `pool` positions, the last of which may be fewer."""

    def __init__(self, pool: int) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length2 c"]:
        """Return ceil(length / pool) positions. The gradient of positions that are equally large is shared among them."""
        if self.pool == 1:
            return features
        if self.training and features.device.type == "cpu":
            pooled: Tensor = _MaxPool.apply(features, self.pool)  # type: ignore[no-untyped-call]
            return pooled
        return _windows(features, self.pool, -math.inf).amax(dim=2)


class _MaxPool(torch.autograd.Function):
    """In training on a CPU, where the gradient of torch's own `amax` takes twice as long as all of this."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, pool: int) -> Tensor:
        windows = _windows(features, pool, -math.inf)
        largest = windows.amax(dim=2)
        share = windows.eq(largest.unsqueeze(2)).to(features.dtype)
        ctx.save_for_backward(share.div_(share.sum(dim=2, keepdim=True)))
        ctx.length = features.shape[1]
        return largest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (share,) = ctx.saved_tensors
        return (share * gradients[0].unsqueeze(2)).flatten(1, 2)[:, : ctx.length], None


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


def _windows(features: Tensor, pool: int, fill: float = 0.0) -> Tensor:
    """(n, length, c) as (n, windows, pool, c), `fill` behind the last position."""
    missing = -features.shape[1] % pool
    padded = pad(features, (0, 0, 0, missing), value=fill) if missing else features
    windows: Tensor = padded.unflatten(1, (-1, pool))
    return windows


def _at_least(threshold: int, like: Tensor) -> Tensor:
    """1 where a random number of 0 to 65535 is at least the threshold, elsewhere 0, in the shape and type of `like`."""
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    sixteen_bits = draws.view(torch.int16)[: like.numel()].view(like.shape)
    return sixteen_bits.ge_(threshold - DROPOUT_STEPS // 2).to(like.dtype)
