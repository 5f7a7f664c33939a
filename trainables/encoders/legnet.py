"""LegNet and MPRALegNet: convolutions in inverted residual blocks with squeeze and excitation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from nrtune.trainables.core.component import Range, Value, param
from nrtune.trainables.encoders import Encoded, Encoder, EncoderModule
from nrtune.trainables.encoders._sizes import scaled
from nrtune.trainables.models.first_layer import FirstLayer
from nrtune.trainables.models.inverted_residual import InvertedResidual
from nrtune.trainables.models.layers import BatchNorm, MaxPool


class _Variant(NamedTuple):
    """A paper's sizes: channels and kernel of the first layer, those of the blocks, and the pooling behind each block."""

    channels: int
    first_kernel: int
    blocks: tuple[int, ...]
    kernel: int
    block_pool: int


VARIANTS: Mapping[str, _Variant] = {
    "legnet": _Variant(256, 7, (128, 128, 64, 64, 64, 64), 7, 1),
    "mpralegnet": _Variant(64, 11, (80, 96, 112, 128), 9, 2),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LegNet(Encoder):
    """LegNet, of `variant` legnet or mpralegnet, at any width.

    legnet is that of Penzar et al., Bioinformatics 2023, doi:10.1093/bioinformatics/btad457, which won the DREAM challenge:
    a convolution, and six blocks whose squeeze and excitation has products of its hidden units; the mean over positions.
    With 256 `channels` it has 1,848,092 parameters: the challenge model's 1,852,846 less those of two input channels (other
    strand, single read) and of the last convolution to 18 bins of expression, in place of which is the head.

    mpralegnet is that of Agarwal et al., Nature 2025, doi:10.1038/s41586-024-08430-9, for lentiMPRA: four blocks, wider
    ones, each with depthwise convolutions and a max-pooling of 2; batch norm, a 1×1 convolution to twice the channels, the
    mean over positions, a hidden layer. With 64 `channels` and a point head it has 1,322,465 parameters.

    `channels` are those of the first layer; blocks have theirs in the paper's proportion. The maximum of every `pool`
    positions follows the first convolution (1: none, as in both papers), then batch norm and `first_activation` (silu in
    both papers). `dropout` is on the embedding (none there).
    """

    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "small": {"variant": "mpralegnet", "channels": 32, "pool": 4, "first_activation": "exp"},
        "study": {"variant": "legnet", "channels": 256},
    }
    variant: str = param("legnet", one_of=tuple(VARIANTS))
    channels: int = param(256, low=1)
    pool: int = param(1, low=1)
    first_activation: str = param("silu", one_of=("silu", "relu", "exp"), searched=("silu", "exp"))
    dropout: float = param(0.0, low=0, high=0.95, searched=Range(0.0, 0.5))

    def module(self) -> EncoderModule:
        """Build the network."""
        return _LegNetModule(self)


class _LegNetModule(EncoderModule):
    def __init__(self, spec: LegNet) -> None:
        super().__init__()
        variant = VARIANTS[spec.variant]
        self.first = FirstLayer(spec.channels, (variant.first_kernel,), spec.first_activation, pool=spec.pool)
        layers: list[nn.Module] = []
        inputs = spec.channels
        for size in variant.blocks:
            outputs = scaled(size, spec.channels, variant.channels)
            layers += [_block(spec.variant, inputs, outputs, variant.kernel), MaxPool(variant.block_pool)]
            inputs = outputs
        self.blocks = nn.Sequential(*layers)
        self.mapper: nn.Module = nn.Identity()
        self.hidden: nn.Module = nn.Identity()
        self.embedding_size = inputs
        if spec.variant == "mpralegnet":
            self.embedding_size = 2 * inputs
            self.mapper = nn.Sequential(BatchNorm(inputs), nn.Linear(inputs, 2 * inputs))
            self.hidden = nn.Sequential(nn.Linear(2 * inputs, 2 * inputs), BatchNorm(2 * inputs), nn.SiLU())
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        features = self.mapper(self.blocks(self.first(one_hot)))
        return Encoded(self.dropout(self.hidden(features.mean(dim=1, keepdim=True)).squeeze(1)), {})


def _block(variant: str, inputs: int, outputs: int, kernel: int) -> InvertedResidual:
    if variant == "mpralegnet":
        return InvertedResidual(inputs, outputs, kernel, inner=4 * inputs, per_group=1, hidden=inputs)
    hidden = max(1, inputs // 4)
    return InvertedResidual(inputs, outputs, kernel, inner=4 * outputs, per_group=2, hidden=hidden, bilinear=True)
