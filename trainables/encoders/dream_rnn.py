"""DREAM-RNN: convolutions, a bidirectional LSTM, convolutions (the study's "bilstm")."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from nrtune.trainables.core.component import Range, Value, param
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.encoders import Encoded, Encoder, EncoderModule
from nrtune.trainables.models.first_layer import ParallelConvolutions
from nrtune.trainables.models.kernels.lstm import BidirectionalLSTM
from nrtune.trainables.models.layers import BatchNorm, LimitedExp, MaxPool, ReluDropoutPool

KERNELS = (9, 15)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DreamRNN(Encoder):
    """DREAM-RNN (BHI) of Rafi et al., Nat. Biotechnol. 2024, doi:10.1038/s41587-024-02414-w, at any width.

    `channels` (C) are those of each pair of convolutions, `lstm_units` those of one direction, `pool` the max-pooling
    ahead of the LSTM (1: none, as in the paper), `embedding` the features of the last 1×1 convolution, `conv_dropout`
    follows each convolution and `dropout` the second pair. At full size it has 6.2 M parameters. `first_activation` follows
    the first pair: relu, as in the paper, or exp (of the input clamped above at 6), which comes behind pooling and norm.
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
    conv_dropout: float = param(0.2, low=0, high=0.95, searched=Range(0.0, 0.4))
    dropout: float = param(0.5, low=0, high=0.95, searched=Range(0.1, 0.7))
    first_activation: str = param("relu", one_of=("relu", "exp"), omitted_at_default=True, searched=("relu", "exp"))

    def __post_init__(self) -> None:
        """Check the parameters. Raises UserError for an odd number of channels: two branches share them."""
        super().__post_init__()
        if self.channels % 2:
            raise UserError(f"encoder dream_rnn: channels must be even, not {self.channels}")

    def module(self) -> EncoderModule:
        """Build the network."""
        return _DreamRNNModule(self)


class _ConvPair(ParallelConvolutions):
    """Two parallel convolutions, batch norm, an activation; concatenated, then dropout and pooling.

    An exponential is behind the pooling, as is the norm.
    """

    def __init__(self, inputs: int, channels: int, dropout: float, pool: int = 1, activation: str = "relu") -> None:
        super().__init__(inputs, channels, KERNELS)
        # Batch norm, ReLU and dropout act on each channel alone: done once, on the concatenation, they are the same.
        self.norm = BatchNorm(channels)
        self.pool = MaxPool(pool if activation == "exp" else 1)
        self.exp = LimitedExp() if activation == "exp" else None
        self.rest = ReluDropoutPool(dropout, 1 if activation == "exp" else pool)

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length2 c2"]:
        normed = self.norm(self.pool(super().forward(features)))
        # A ReLU leaves an exponential as it is.
        found: Tensor = self.rest(normed if self.exp is None else self.exp(normed))
        return found


class _DreamRNNModule(EncoderModule):
    def __init__(self, spec: DreamRNN) -> None:
        super().__init__()
        self.embedding_size = spec.embedding
        self.first = _ConvPair(4, spec.channels, spec.conv_dropout, spec.pool, spec.first_activation)
        self.lstm = BidirectionalLSTM(spec.channels, spec.lstm_units)
        # The pair's own dropout and the one behind it are one dropout that keeps the product of both.
        keep = (1 - spec.conv_dropout) * (1 - spec.dropout)
        self.second = _ConvPair(2 * spec.lstm_units, spec.channels, 1 - keep)
        self.project = nn.Linear(spec.channels, spec.embedding)

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        features = self.second(self.lstm(self.first(one_hot.transpose(1, 2))))
        # A 1×1 convolution and a mean over positions are both linear: the mean first costs 1/length of the work.
        return Encoded(self.project(features.mean(dim=1)), {})
