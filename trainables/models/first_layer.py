"""What reads the bases: parallel convolutions, and the first layer that encoders share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from nrtune.trainables.models.kernels.lstm import in_bf16_on_gpu
from nrtune.trainables.models.kernels.spectral_conv import convolve
from nrtune.trainables.models.layers import ACTIVATIONS, BatchNorm, Convolution, MaxPool

FEW, MANY = 8, 128
"""On a GPU up to FEW input channels are convolved as a product of windows, from MANY on as one of spectra."""


class ParallelConvolutions(nn.Module):
    """Convolutions of the same features with kernels of several odd lengths (same padding), their channels concatenated.

    `proven`: products of spectra are used, see `nrtune.trainables.models.kernels.proof`.
    """

    KERNEL: ClassVar[str] = "spectral_convolution"

    def __init__(self, inputs: int, channels: int, kernels: Sequence[int], *, bias: bool = True) -> None:
        super().__init__()
        self.proven = False
        each = channels // len(kernels)
        self.convs = nn.ModuleList(
            Convolution(inputs, each, kernel, padding=kernel // 2, bias=bias) for kernel in kernels
        )

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c2"]:
        """Return as many positions, each kernel's channels behind those of the one before it."""
        if not in_bf16_on_gpu(features):
            return self.by_torch(features)
        return (
            self.by_kernel(features.bfloat16()) if self.proven or features.shape[2] <= FEW else self.by_torch(features)
        )

    def applies(self, features: Tensor) -> bool:
        """Whether such features are convolved as a product of spectra."""
        return features.is_cuda and features.shape[2] >= MANY

    def by_torch(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c2"]:
        """Convolve with each kernel as the backend does it."""
        found = [conv(features) for conv in self.convs]
        return found[0] if len(found) == 1 else torch.cat(found, dim=2)

    def by_kernel(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c2"]:
        """The same as one matrix product, of windows or of spectra; a shorter kernel gets taps of 0."""
        if FEW < features.shape[2] < MANY:
            return self.by_torch(features)
        weight, bias = self._weight().to(features.dtype), self._bias()
        taps = weight.shape[2]
        if features.shape[2] >= MANY:
            convolved = convolve(features, weight)
            return convolved if bias is None else convolved + bias.to(features.dtype)
        windows = pad(features, (0, 0, taps // 2, taps // 2)).unfold(1, taps, 1)
        return linear(windows.flatten(2), weight.flatten(1), None if bias is None else bias.to(features.dtype))

    def _weight(self) -> Float[Tensor, "c2 c taps"]:
        weights = [conv.weight for conv in self.convs if isinstance(conv, Convolution)]
        missing = [(max(w.shape[2] for w in weights) - weight.shape[2]) // 2 for weight in weights]
        return torch.cat([pad(weight, (m, m)) for weight, m in zip(weights, missing, strict=True)])

    def _bias(self) -> Float[Tensor, " c2"] | None:
        biases = [conv.bias for conv in self.convs if isinstance(conv, Convolution) and conv.bias is not None]
        return torch.cat(biases) if biases else None


class FirstLayer(ParallelConvolutions):
    """From one-hot bases to features: convolutions, maximum of every `pool` positions, batch norm, activation, in this order.

    An exponential wants it: ahead of pooling and norm it learned less (docs/LOG.md). Without `norm` only an exponential has
    the batch norm.
    """

    def __init__(
        self,
        channels: int,
        kernels: Sequence[int],
        activation: str,
        *,
        pool: int = 1,
        bias: bool = False,
        norm: bool = True,
    ) -> None:
        super().__init__(4, channels, kernels, bias=bias)
        self.pool = MaxPool(pool)
        self.norm = BatchNorm(channels) if norm or activation == "exp" else nn.Identity()
        self.activation = ACTIVATIONS[activation]()

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Float[Tensor, "n length2 c"]:
        """Return ceil(length / pool) positions."""
        found: Tensor = self.activation(self.norm(self.pool(super().forward(one_hot.transpose(1, 2)))))
        return found
