"""Dilated residual network: a first convolution, then residual convolutions that see ever farther."""

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

TAPS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class DilatedResNet(Encoder):
    """A convolution of `kernel` bases, then `layers` residual ones of 3 taps that lie 1, 2, 4, … positions apart.

    After Basenji (Kelley et al., Genome Res. 2018, doi:10.1101/gr.227819.117), of which it has batch norms, pooling and
    dropout, and BPNet (Avsec et al., Nat. Genet. 2021, doi:10.1038/s41588-021-00782-6), of which it has the kernel of 25
    and the residual layers: each is a dilated convolution, batch norm, ReLU, channel dropout, added to its input. Neither's
    size: those see far beyond an MPRA's 230 bases. `channels` are those of every layer; the maximum of every `pool`
    positions follows the first convolution, then batch norm and `first_activation`; `channel_dropout` takes whole channels,
    `dropout` features of the mean over positions. At full size (256 channels, 7 layers, which see 255 positions) it has
    1.4 M parameters.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "small": {"channels": 64, "layers": 3, "kernel": 15, "pool": 4, "first_activation": "exp"},
        "study": {"channels": 256, "layers": 7},
    }
    channels: int = param(256, low=1)
    layers: int = param(7, low=1, high=16, searched=Range(2, 7))
    kernel: int = param(25, low=1, searched=(11, 15, 25))
    pool: int = param(1, low=1)
    first_activation: str = param("relu", one_of=("relu", "exp"), searched=("relu", "exp"))
    channel_dropout: float = param(0.1, low=0, high=0.95, searched=Range(0.0, 0.4))
    dropout: float = param(0.2, low=0, high=0.95, searched=Range(0.0, 0.5))

    def __post_init__(self) -> None:
        """Check the parameters. Raises UserError for an even kernel, which has no middle."""
        super().__post_init__()
        check_odd(self, "kernel")

    def module(self) -> EncoderModule:
        """Build the network."""
        return _DilatedResNetModule(self)


class _Residual(nn.Module):
    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            Convolution(channels, channels, TAPS, padding=dilation * (TAPS // 2), dilation=dilation, bias=False),
            BatchNorm(channels),
            nn.ReLU(inplace=True),
            ChannelDropout(dropout),
        )

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c"]:
        found: Tensor = features + self.layer(features)
        return found


class _DilatedResNetModule(EncoderModule):
    def __init__(self, spec: DilatedResNet) -> None:
        super().__init__()
        self.embedding_size = spec.channels
        self.first = FirstLayer(spec.channels, (spec.kernel,), spec.first_activation, pool=spec.pool)
        self.residuals = nn.Sequential(
            *(_Residual(spec.channels, 2**number, spec.channel_dropout) for number in range(spec.layers))
        )
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        return Encoded(self.dropout(self.residuals(self.first(one_hot)).mean(dim=1)), {})
