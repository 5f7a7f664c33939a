"""Motif CNN: a pooled first convolution behind an exponential, a second convolution, a mean over positions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from nrtune.trainables.core.component import Range, Value, param
from nrtune.trainables.encoders import Encoded, Encoder, EncoderModule
from nrtune.trainables.encoders._sizes import check_odd
from nrtune.trainables.models.first_layer import FirstLayer
from nrtune.trainables.models.layers import BatchNorm, ChannelDropout, Convolution

LATER_KERNEL = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotifCNN(Encoder):
    """Filters that match motifs, and what stands near them: the quickest encoder here (docs/LOG.md).

    `channels` filters over `kernel` bases, the maximum of every `pool` positions, batch norm, `first_activation`; then
    `depth` convolutions of 7 positions to `embedding` channels, each with batch norm and ReLU; the mean over positions.
    `channel_dropout` takes whole channels behind each activation, `dropout` features of the embedding. The exponential
    makes filters motifs: Koo and Ploenzke, Nat. Mach. Intell. 2021, doi:10.1038/s42256-020-00291-x. The small size has
    92,000 parameters, the full one 156,000.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "small": {"channels": 128, "kernel": 11, "depth": 2},
        "study": {"channels": 256, "kernel": 11, "depth": 2},
    }
    channels: int = param(64, low=1, searched=(64, 128, 256))
    kernel: int = param(15, low=1, searched=(11, 15, 19))
    pool: int = param(4, low=1, searched=(4, 8))
    depth: int = param(1, low=1, searched=(1, 2))
    embedding: int = param(64, low=1)
    first_activation: str = param("exp", one_of=("relu", "exp"))
    channel_dropout: float = param(0.1, low=0, high=0.95)
    dropout: float = param(0.2, low=0, high=0.95, searched=Range(0.0, 0.5))

    def __post_init__(self) -> None:
        """Check the parameters. Raises UserError for an even kernel, which has no middle."""
        super().__post_init__()
        check_odd(self, "kernel")

    def module(self) -> EncoderModule:
        """Build the network."""
        return _MotifCNNModule(self)


class _MotifCNNModule(EncoderModule):
    def __init__(self, spec: MotifCNN) -> None:
        super().__init__()
        self.embedding_size = spec.embedding
        self.first = FirstLayer(spec.channels, (spec.kernel,), spec.first_activation, pool=spec.pool)
        layers: list[nn.Module] = [ChannelDropout(spec.channel_dropout)]
        for inputs in (spec.channels, *(spec.embedding,) * (spec.depth - 1)):
            layers += [
                Convolution(inputs, spec.embedding, LATER_KERNEL, padding=LATER_KERNEL // 2),
                BatchNorm(spec.embedding),
                nn.ReLU(inplace=True),
                ChannelDropout(spec.channel_dropout),
            ]
        self.later = nn.Sequential(*layers)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        return Encoded(self.dropout(self.later(self.first(one_hot)).mean(dim=1)), {})
