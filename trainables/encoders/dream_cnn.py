"""DREAM-CNN: two parallel first convolutions, LegNet's blocks, a 1×1 convolution."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from nrtune.trainables.core.component import Range, Value, param
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.encoders import Encoded, Encoder, EncoderModule
from nrtune.trainables.encoders._sizes import scaled
from nrtune.trainables.models.first_layer import FirstLayer
from nrtune.trainables.models.inverted_residual import InvertedResidual
from nrtune.trainables.models.layers import Dropout

CHANNELS, BLOCKS = 320, (128, 128, 64, 64, 64, 64)
FIRST_KERNELS, KERNEL = (9, 15), 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class DreamCNN(Encoder):
    """DREAM-CNN of Rafi et al., Nat. Biotechnol. 2024, doi:10.1038/s41587-024-02414-w, at any width.

    BHI's first layers (convolutions of 9 and 15 bases, half of the `channels` each; ReLU; `conv_dropout`), Autosome.org's
    core (LegNet's six blocks, in proportion to `channels`) and final layers (a 1×1 convolution to `embedding` features, the
    mean over positions); `dropout` of those, which the paper has not. `pool` is the max-pooling behind the first
    convolutions (1: none, as in the paper); with `first_activation` exp a batch norm follows it. With 320 channels and a
    point head it has 1,942,017 parameters: its authors' 1,945,857 less those of a fifth input channel, the other strand's.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "small": {"channels": 48, "pool": 4, "embedding": 64, "first_activation": "exp"},
        "study": {"channels": CHANNELS},
    }
    channels: int = param(CHANNELS, low=2)
    pool: int = param(1, low=1)
    embedding: int = param(256, low=1)
    first_activation: str = param("relu", one_of=("relu", "exp"), searched=("relu", "exp"))
    conv_dropout: float = param(0.2, low=0, high=0.95, searched=Range(0.0, 0.4))
    dropout: float = param(0.0, low=0, high=0.95, searched=Range(0.0, 0.5))

    def __post_init__(self) -> None:
        """Check the parameters. Raises UserError for an odd number of channels: two branches share them."""
        super().__post_init__()
        if self.channels % 2:
            raise UserError(f"encoder dream_cnn: channels must be even, not {self.channels}")

    def module(self) -> EncoderModule:
        """Build the network."""
        return _DreamCNNModule(self)


class _DreamCNNModule(EncoderModule):
    def __init__(self, spec: DreamCNN) -> None:
        super().__init__()
        self.embedding_size = spec.embedding
        self.first = FirstLayer(
            spec.channels, FIRST_KERNELS, spec.first_activation, pool=spec.pool, bias=True, norm=False
        )
        self.conv_dropout = Dropout(spec.conv_dropout)
        sizes = (spec.channels, *(scaled(size, spec.channels, CHANNELS) for size in BLOCKS))
        self.blocks = nn.Sequential(
            *(
                InvertedResidual(inputs, outputs, KERNEL, inner=4 * outputs, per_group=2, hidden=max(1, inputs // 4))
                for inputs, outputs in itertools.pairwise(sizes)
            )
        )
        self.project = nn.Linear(sizes[-1], spec.embedding)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        features = self.blocks(self.conv_dropout(self.first(one_hot)))
        # A 1×1 convolution and a mean over positions are both linear: the mean first costs 1/length of the work.
        return Encoded(self.dropout(self.project(features.mean(dim=1))), {})
