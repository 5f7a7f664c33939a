"""DREAM-RNN: convolutions, a bidirectional LSTM, convolutions (the study's "bilstm")."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from nrtune.trainables.core.component import Range, Value, param
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.encoders import Encoded, Encoder, EncoderModule
from nrtune.trainables.models.kernels.lstm import BidirectionalLSTM, in_bf16_on_gpu
from nrtune.trainables.models.kernels.spectral_conv import convolve
from nrtune.trainables.models.layers import BatchNorm, Convolution, ReluDropoutPool

KERNELS = (9, 15)

FEW, MANY = 8, 128
"""On a GPU up to FEW input channels are convolved as a product of windows, from MANY on as one of spectra."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DreamRNN(Encoder):
    """DREAM-RNN (BHI) of Rafi et al., Nat. Biotechnol. 2024, doi:10.1038/s41587-024-02414-w, at any width.

    `channels` (C) are those of each pair of convolutions, `lstm_units` those of one direction, `pool` the max-pooling
    ahead of the LSTM (1: none, as in the paper), `embedding` the features of the last 1×1 convolution, `conv_dropout`
    follows each convolution and `dropout` the second pair. At full size it has 6.2 M parameters.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "small": {"channels": 32, "lstm_units": 16, "pool": 4},
        "study": {"channels": 512, "lstm_units": 320, "pool": 1},
    }
    lr: ClassVar[None] = None
    channels: int = param(512, low=2)
    lstm_units: int = param(320, low=1)
    pool: int = param(1, low=1)
    embedding: int = param(256, low=1)
    conv_dropout: float = param(0.2, low=0, high=0.95)
    dropout: float = param(0.5, low=0, high=0.95, searched=Range(0.1, 0.7))

    def __post_init__(self) -> None:
        """Check the parameters. Raises UserError for an odd number of channels: two branches share them."""
        super().__post_init__()
        if self.channels % 2:
            raise UserError(f"encoder dream_rnn: channels must be even, not {self.channels}")

    def module(self) -> EncoderModule:
        """Build the network."""
        return _DreamRNNModule(self)


class _ConvPair(nn.Module):
    """Two parallel convolutions (kernels 9 and 15, same padding), batch norm, ReLU; concatenated, then dropout and pooling."""

    def __init__(self, inputs: int, channels: int, dropout: float, pool: int = 1) -> None:
        super().__init__()
        half = channels // 2
        self.convs = nn.ModuleList(Convolution(inputs, half, kernel, padding=kernel // 2) for kernel in KERNELS)
        # Batch norm, ReLU and dropout act on each channel alone: done once, on the concatenation, they are the same.
        self.norm = BatchNorm(channels)
        self.rest = ReluDropoutPool(dropout, pool)

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length2 c2"]:
        joined = self.fused(features.bfloat16()) if in_bf16_on_gpu(features) else self.separate(features)
        pooled: Tensor = self.rest(self.norm(joined))
        return pooled

    def separate(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c2"]:
        """Convolve with each kernel as the backend does it."""
        return torch.cat([conv(features) for conv in self.convs], dim=2)

    def fused(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c2"]:
        """The same as one matrix product, of windows or of spectra; the shorter kernel gets taps of 0."""
        if FEW < features.shape[2] < MANY:
            return self.separate(features)
        taps, weights, biases = max(KERNELS), [], []
        for conv in self.convs:
            assert isinstance(conv, Convolution)
            assert conv.bias is not None
            missing = (taps - conv.weight.shape[2]) // 2
            weights.append(pad(conv.weight, (missing, missing)))
            biases.append(conv.bias)
        weight, bias = (torch.cat(parts).to(features.dtype) for parts in (weights, biases))
        if features.shape[2] >= MANY:
            return convolve(features, weight) + bias
        windows = pad(features, (0, 0, taps // 2, taps // 2)).unfold(1, taps, 1)
        return linear(windows.flatten(2), weight.flatten(1), bias)


class _DreamRNNModule(EncoderModule):
    def __init__(self, spec: DreamRNN) -> None:
        super().__init__()
        self.embedding_size = spec.embedding
        self.first = _ConvPair(4, spec.channels, spec.conv_dropout, spec.pool)
        self.lstm = BidirectionalLSTM(spec.channels, spec.lstm_units)
        # The pair's own dropout and the one behind it are one dropout that keeps the product of both.
        keep = (1 - spec.conv_dropout) * (1 - spec.dropout)
        self.second = _ConvPair(2 * spec.lstm_units, spec.channels, 1 - keep)
        self.project = nn.Linear(spec.channels, spec.embedding)

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        features = self.second(self.lstm(self.first(one_hot.transpose(1, 2))))
        # A 1×1 convolution and a mean over positions are both linear: the mean first costs 1/length of the work.
        return Encoded(self.project(features.mean(dim=1)), {})
