"""DREAM-Attn: a first convolution, conformer layers of attention and convolution, a 1×1 convolution."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention, silu

from nrtune.trainables.core.component import Range, Value, param
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.encoders import Encoded, Encoder, EncoderModule, LearningRate
from nrtune.trainables.models.first_layer import FirstLayer
from nrtune.trainables.models.layers import Convolution, Dropout, ReluDropoutPool

FIRST_KERNEL, KERNEL, EXPANSION = 7, 15, 4
NORM_EPS = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class DreamAttn(Encoder):
    """DREAM-Attn of Rafi et al., Nat. Biotechnol. 2024, doi:10.1038/s41587-024-02414-w, at any width.

    Autosome.org's first layers (a convolution of 7 bases, batch norm, `first_activation`, which is silu in the paper),
    Unlock_DNA's core (learned positions; `layers` conformer layers of self-attention with so many `heads`, a depthwise
    convolution of 15 and two gated feed-forward layers, with `layer_dropout`) and Autosome.org's final layers (a 1×1
    convolution to `embedding` features, the mean over positions); `dropout` of those, which the paper has not. `pool` is the
    max-pooling behind the first convolution (1: none, as in the paper). Positions are a table of `positions` rows, between
    which other lengths are interpolated. With 256 channels and a point head it has 4,617,729 parameters: its authors'
    4,619,521 less those of a fifth input channel, the other strand's. They trained it at lr 0.001.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "small": {
            "channels": 32,
            "layers": 2,
            "heads": 4,
            "pool": 4,
            "positions": 58,
            "embedding": 64,
            "first_activation": "exp",
        },
        "study": {"channels": 256, "layers": 4},
    }
    lr: ClassVar[LearningRate] = LearningRate(0.003, Range(5e-4, 1e-2, log=True))
    channels: int = param(256, low=1)
    layers: int = param(4, low=1)
    heads: int = param(8, low=1)
    pool: int = param(1, low=1)
    positions: int = param(230, low=1)
    embedding: int = param(256, low=1)
    first_activation: str = param("silu", one_of=("silu", "relu", "exp"), searched=("silu", "exp"))
    layer_dropout: float = param(0.1, low=0, high=0.95, searched=Range(0.0, 0.4))
    dropout: float = param(0.0, low=0, high=0.95, searched=Range(0.0, 0.5))

    def __post_init__(self) -> None:
        """Check the parameters. Raises UserError for channels that the heads can't share."""
        super().__post_init__()
        if self.channels % self.heads:
            raise UserError(
                f"encoder dream_attn: channels must be a multiple of heads ({self.heads}), not {self.channels}"
            )

    def module(self) -> EncoderModule:
        """Build the network."""
        return _DreamAttnModule(self)


class _FeedForward(nn.Module):
    """Layer norm, a linear layer to two halves of which SiLU of the one gates the other, dropout, a linear layer, dropout."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=NORM_EPS)
        self.expand = nn.Linear(channels, EXPANSION * channels, bias=False)
        self.contract = nn.Linear(EXPANSION * channels // 2, channels, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c"]:
        values, gate = self.expand(self.norm(features)).chunk(2, dim=2)
        found: Tensor = self.dropout(self.contract(self.dropout(values * silu(gate))))
        return found


class _SelfAttention(nn.Module):
    """Every position from all positions, with scaled dot products, by heads of equal width."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c"]:
        by_head = self.inputs(features).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = by_head.unbind(0)
        attended = scaled_dot_product_attention(query, key, value)
        found: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return found


class _ConformerLayer(nn.Module):
    """Half a feed-forward layer, a depthwise and a 1×1 convolution, attention, half a feed-forward layer; each added."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before, self.after = (_FeedForward(channels, dropout) for _ in range(2))
        self.conv_norm, self.attention_norm = (nn.LayerNorm(channels, eps=NORM_EPS) for _ in range(2))
        self.convolution = nn.Sequential(
            Convolution(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels, bias=False),
            nn.Linear(channels, channels),
            ReluDropoutPool(dropout),
        )
        self.attention = _SelfAttention(channels, heads)

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c"]:
        features = features + 0.5 * self.before(features)
        normed = self.conv_norm(features)
        features = self.attention_norm(features + normed + self.convolution(normed))
        features = features + self.attention(features)
        found: Tensor = features + 0.5 * self.after(features)
        return found


class _DreamAttnModule(EncoderModule):
    def __init__(self, spec: DreamAttn) -> None:
        super().__init__()
        self.embedding_size = spec.embedding
        self.first = FirstLayer(spec.channels, (FIRST_KERNEL,), spec.first_activation, pool=spec.pool)
        self.positions = nn.Parameter(torch.randn(spec.positions, spec.channels))
        self.layers = nn.Sequential(
            *(_ConformerLayer(spec.channels, spec.heads, spec.layer_dropout) for _ in range(spec.layers))
        )
        self.project = nn.Linear(spec.channels, spec.embedding)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        features = self.first(one_hot)
        features = self.layers(features + self._positions(features.shape[1]))
        # A 1×1 convolution and a mean over positions are both linear: the mean first costs 1/length of the work.
        return Encoded(self.dropout(self.project(features.mean(dim=1))), {})

    def _positions(self, length: int) -> Float[Tensor, "length c"]:
        """The table's rows, or as many between its first and its last."""
        if length == len(self.positions):
            return self.positions
        return interpolate(self.positions.T[None], length, mode="linear", align_corners=True)[0].T
