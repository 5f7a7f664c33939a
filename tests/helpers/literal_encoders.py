"""Encoders as their papers read, in plain modules on (n, channels, length): what the fast ones are held against.

Layers are made in the order of the fast ones, so that parameters and buffers of both go by their order.
"""

from __future__ import annotations

import itertools

import torch
from literal_networks import Exponential
from torch import Tensor, nn

from nrtune.trainables.encoders import Encoder
from nrtune.trainables.encoders.dilated_resnet import DilatedResNet
from nrtune.trainables.encoders.dream_attn import DreamAttn
from nrtune.trainables.encoders.dream_cnn import DreamCNN
from nrtune.trainables.encoders.factorized import Factorized
from nrtune.trainables.encoders.legnet import LegNet
from nrtune.trainables.encoders.motif_cnn import MotifCNN

ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "exp": Exponential}


def first_layer(channels: int, kernel: int, pool: int, activation: str) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(4, channels, kernel, padding="same", bias=False),
        nn.MaxPool1d(pool, ceil_mode=True),
        nn.BatchNorm1d(channels),
        ACTIVATIONS[activation](),
    )


def eights(sizes: list[float]) -> list[int]:
    """The nearest multiples of 8 but 0."""
    return [max(8, 8 * round(size / 8)) for size in sizes]


class LiteralMotifCNN(nn.Module):
    def __init__(self, spec: MotifCNN) -> None:
        super().__init__()
        self.layers = first_layer(spec.channels, spec.kernel, spec.pool, spec.first_activation)
        for number in range(spec.depth):
            self.layers.append(nn.Dropout1d(spec.channel_dropout))
            inputs = spec.embedding if number else spec.channels
            self.layers.append(nn.Conv1d(inputs, spec.embedding, 7, padding="same"))
            self.layers.append(nn.BatchNorm1d(spec.embedding))
            self.layers.append(nn.ReLU())
        self.layers.append(nn.Dropout1d(spec.channel_dropout))
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Tensor) -> Tensor:
        return self.dropout(self.layers(one_hot).mean(dim=2))


class LiteralBilinear(nn.Module):
    """Every pair of inputs has a weight for each output; the weights have a low rank."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        rank = max(1, round(0.5 * inputs**2 * outputs / (inputs + inputs + outputs)))
        self.scale = nn.Parameter(torch.ones(rank))
        self.left, self.right = (nn.Parameter(torch.randn(rank, inputs)) for _ in range(2))
        self.out, self.bias = nn.Parameter(torch.randn(outputs, rank)), nn.Parameter(torch.randn(outputs))

    def forward(self, features: Tensor) -> Tensor:
        weights = torch.einsum("r,ri,rj,kr->ijk", self.scale, self.left, self.right, self.out)
        return torch.einsum("ni,nj,ijk->nk", features, features, weights) + self.bias


class LiteralExcitation(nn.Module):
    def __init__(self, channels: int, hidden: int, bilinear: bool) -> None:
        super().__init__()
        self.first = nn.Linear(channels, hidden)
        products = max(1, hidden // 2) if bilinear else 0
        if bilinear:
            self.second, self.pairs = nn.Linear(hidden, hidden), LiteralBilinear(hidden, products)
        self.last, self.bilinear = nn.Linear(hidden + products, channels), bilinear

    def forward(self, features: Tensor) -> Tensor:
        hidden = nn.SiLU()(self.first(features.mean(dim=2)))
        if self.bilinear:
            second = self.second(hidden)
            hidden = nn.SiLU()(torch.cat([second, self.pairs(second)], dim=1))
        return features * nn.Sigmoid()(self.last(hidden))[:, :, None]


class LiteralBlock(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, kernel: int, inner: int, group: int, hidden: int, bilinear: bool
    ) -> None:
        super().__init__()
        self.wide = nn.Sequential(
            nn.Conv1d(inputs, inner, 1, bias=False), nn.BatchNorm1d(inner), nn.SiLU(),
            nn.Conv1d(inner, inner, kernel, padding="same", groups=inner // group, bias=False), nn.BatchNorm1d(inner),
            nn.SiLU(),
            LiteralExcitation(inner, hidden, bilinear),
            nn.Conv1d(inner, inputs, 1, bias=False), nn.BatchNorm1d(inputs), nn.SiLU(),
        )  # fmt: skip
        self.local = nn.Sequential(
            nn.Conv1d(2 * inputs, outputs, kernel, padding="same", bias=False), nn.BatchNorm1d(outputs), nn.SiLU()
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.local(torch.cat([features, self.wide(features)], dim=1))


class LiteralLegNet(nn.Module):
    def __init__(self, spec: LegNet) -> None:
        super().__init__()
        sizes = [256, 128, 128, 64, 64, 64, 64] if spec.variant == "legnet" else [64, 80, 96, 112, 128]
        sizes = [spec.channels, *eights([size * spec.channels / sizes[0] for size in sizes[1:]])]
        kernels = (7, 7) if spec.variant == "legnet" else (11, 9)
        self.layers = first_layer(spec.channels, kernels[0], spec.pool, spec.first_activation)
        for inputs, outputs in itertools.pairwise(sizes):
            if spec.variant == "legnet":
                block = LiteralBlock(inputs, outputs, 7, 4 * outputs, 2, max(1, inputs // 4), True)
                self.layers.append(block)
            else:
                self.layers.append(LiteralBlock(inputs, outputs, 9, 4 * inputs, 1, inputs, False))
                self.layers.append(nn.MaxPool1d(2, ceil_mode=True))
        self.hidden = nn.Identity()
        if spec.variant == "mpralegnet":
            double = 2 * sizes[-1]
            self.layers.append(nn.BatchNorm1d(sizes[-1]))
            self.layers.append(nn.Conv1d(sizes[-1], double, 1))
            self.hidden = nn.Sequential(nn.Linear(double, double), nn.BatchNorm1d(double), nn.SiLU())
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Tensor) -> Tensor:
        return self.dropout(self.hidden(self.layers(one_hot).mean(dim=2)))


class LiteralDreamCNN(nn.Module):
    def __init__(self, spec: DreamCNN) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(4, spec.channels // 2, kernel, padding="same") for kernel in (9, 15))
        self.pool = nn.MaxPool1d(spec.pool, ceil_mode=True)
        self.norm = nn.BatchNorm1d(spec.channels) if spec.first_activation == "exp" else nn.Identity()
        sizes = [spec.channels, *eights([size * spec.channels / 320 for size in (128, 128, 64, 64, 64, 64)])]
        self.layers = nn.Sequential(ACTIVATIONS[spec.first_activation](), nn.Dropout(spec.conv_dropout))
        for inputs, outputs in itertools.pairwise(sizes):
            self.layers.append(LiteralBlock(inputs, outputs, 7, 4 * outputs, 2, max(1, inputs // 4), False))
        self.layers.append(nn.Conv1d(sizes[-1], spec.embedding, 1))
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Tensor) -> Tensor:
        found = torch.cat([self.pool(conv(one_hot)) for conv in self.convs], dim=1)
        return self.dropout(self.layers(self.norm(found)).mean(dim=2))


class LiteralFeedForward(nn.Module):
    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.first, self.second = (
            nn.Linear(channels, 4 * channels, bias=False),
            nn.Linear(2 * channels, channels, bias=False),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        both = self.first(self.norm(features))
        half = both.shape[2] // 2
        return self.dropout(self.second(self.dropout(both[:, :, :half] * nn.SiLU()(both[:, :, half:]))))


class LiteralConformer(nn.Module):
    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.forward1, self.forward2 = LiteralFeedForward(channels, dropout), LiteralFeedForward(channels, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(channels, eps=1e-6), nn.LayerNorm(channels, eps=1e-6)
        self.conv = nn.Sequential(
            nn.Conv1d(channels, channels, 15, padding="same", groups=channels, bias=False),
            nn.Conv1d(channels, channels, 1), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        features = features + self.forward1(features) / 2
        normed = self.norm1(features)
        features = self.norm2(features + normed + self.conv(normed.transpose(1, 2)).transpose(1, 2))
        features = features + self.attention(features, features, features, need_weights=False)[0]
        return features + self.forward2(features) / 2


class LiteralDreamAttn(nn.Module):
    """At the length that the table of positions is made for, or with a row between each two of its rows."""

    def __init__(self, spec: DreamAttn) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(spec.positions, spec.channels))
        self.first = first_layer(spec.channels, 7, spec.pool, spec.first_activation)
        self.layers = nn.Sequential(
            *(LiteralConformer(spec.channels, spec.heads, spec.layer_dropout) for _ in range(spec.layers))
        )
        self.project, self.dropout = nn.Conv1d(spec.channels, spec.embedding, 1), nn.Dropout(spec.dropout)

    def forward(self, one_hot: Tensor) -> Tensor:
        features = self.first(one_hot).transpose(1, 2)
        rows = self.positions
        if features.shape[1] == 2 * len(rows) - 1:
            between = (rows[1:] + rows[:-1]) / 2
            rows = torch.cat([torch.stack([rows[:-1], between], dim=1).flatten(0, 1), rows[-1:]])
        features = self.layers(features + rows).transpose(1, 2)
        return self.dropout(self.project(features).mean(dim=2))


class LiteralDilatedResNet(nn.Module):
    def __init__(self, spec: DilatedResNet) -> None:
        super().__init__()
        self.first = first_layer(spec.channels, spec.kernel, spec.pool, spec.first_activation)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(spec.channels, spec.channels, 3, padding="same", dilation=2**number, bias=False),
                nn.BatchNorm1d(spec.channels), nn.ReLU(), nn.Dropout1d(spec.channel_dropout),
            )
            for number in range(spec.layers)
        )  # fmt: skip
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, one_hot: Tensor) -> Tensor:
        features = self.first(one_hot)
        for layer in self.layers:
            features = features + layer(features)
        return self.dropout(features.mean(dim=2))


class LiteralFactorized(nn.Module):
    """Without the options that have losses of their own."""

    def __init__(self, spec: Factorized) -> None:
        super().__init__()

        def branch(kernel: int, dilations: tuple[int, ...]) -> nn.Sequential:
            layers = nn.Sequential()
            for number, dilation in enumerate(dilations):
                inputs, padding = spec.channels if number else 4, dilation * (kernel - 1) // 2
                layers.append(nn.Conv1d(inputs, spec.channels, kernel, padding=padding, dilation=dilation))
                layers.append(nn.BatchNorm1d(spec.channels))
                layers.append(nn.ReLU() if number else ACTIVATIONS[spec.first_activation]())
            return layers

        self.motif, self.motif_out = branch(8, (1, 1)), nn.Linear(spec.channels, 64)
        self.grammar, self.grammar_out = branch(5, (1, 2, 4)), nn.Linear(spec.channels, 64)
        self.composition, self.dropout = nn.Linear(4, 32), nn.Dropout(spec.embedding_dropout)

    def forward(self, one_hot: Tensor) -> Tensor:
        motif = self.motif_out(self.motif(one_hot).max(dim=2).values)
        grammar = self.grammar_out(self.grammar(one_hot).mean(dim=2))
        return self.dropout(torch.relu(torch.cat([motif, grammar, self.composition(one_hot.mean(dim=2))], dim=1)))


LITERAL = {
    MotifCNN: LiteralMotifCNN,
    LegNet: LiteralLegNet,
    DreamCNN: LiteralDreamCNN,
    DreamAttn: LiteralDreamAttn,
    DilatedResNet: LiteralDilatedResNet,
    Factorized: LiteralFactorized,
}


def literal_of(spec: Encoder) -> nn.Module:
    """The plain network of an encoder's parameters."""
    return LITERAL[type(spec)](spec)
