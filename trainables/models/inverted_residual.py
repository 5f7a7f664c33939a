"""The block of LegNet and of DREAM-CNN's core, after EfficientNetV2: Tan and Le 2021, arXiv:2104.00298.

Its source is LegNet: Penzar et al., Bioinformatics 2023, doi:10.1093/bioinformatics/btad457.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nrtune.trainables.models.layers import BatchNorm, Convolution


def local_block(inputs: int, outputs: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """A convolution without bias (same padding), batch norm and SiLU."""
    convolution = Convolution(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return _normed(convolution, outputs)


def pointwise(inputs: int, outputs: int) -> nn.Sequential:
    """A convolution of one position without bias, which is a matrix product, batch norm and SiLU."""
    return _normed(nn.Linear(inputs, outputs, bias=False), outputs)


def _normed(layer: Convolution | nn.Linear, outputs: int) -> nn.Sequential:
    # Norms begin as if their inputs had a variance of 1. With torch's smaller weights a third of it would be left by each of
    # two dozen layers, and after few steps all sequences would be evaluated alike.
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layer, BatchNorm(outputs), nn.SiLU())


class Bilinear(nn.Module):
    """Products of pairs of features: y_k = Σ_r λ_r (a_r·x) (b_r·x) c_kr + bias_k.

    The weights are a tensor (inputs, inputs, outputs) of low rank, in the canonical polyadic decomposition, with half as
    many numbers as the whole tensor would have.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        rank = max(1, round(inputs * inputs * outputs / 2 / (2 * inputs + outputs)))
        self.left, self.right = (nn.Linear(inputs, rank, bias=False) for _ in range(2))
        self.scale = nn.Parameter(torch.ones(rank))
        self.out = nn.Linear(rank, outputs)

    def forward(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n f2"]:
        """Return the weighted products."""
        found: Tensor = self.out(self.left(features) * self.right(features) * self.scale)
        return found


class SqueezeExcite(nn.Module):
    """Each channel times a weight of 0 to 1 that a small network makes of all channels' means over positions.

    Hu et al. 2018, arXiv:1709.01507. bilinear: products of pairs of its hidden units go beside them, as in the first LegNet.
    """

    def __init__(self, channels: int, hidden: int, *, bilinear: bool = False) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.mix = nn.Linear(hidden, hidden) if bilinear else None
        products = max(1, hidden // 2) if bilinear else 0
        self.bilinear = Bilinear(hidden, products) if bilinear else None
        self.excite = nn.Linear(hidden + products, channels)

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c"]:
        """Return the weighted channels."""
        hidden = nn.functional.silu(self.squeeze(features.mean(dim=1)))
        if self.mix is not None and self.bilinear is not None:
            mixed = self.mix(hidden)
            hidden = nn.functional.silu(torch.cat([mixed, self.bilinear(mixed)], dim=1))
        return features * torch.sigmoid(self.excite(hidden)).unsqueeze(1)


class InvertedResidual(nn.Module):
    """Features beside what a wide, grouped convolution makes of them, brought to `outputs` channels by a convolution.

    The wide part: a convolution of one position to `inner` channels, one of `kernel` positions in groups of `per_group`
    channels, squeeze and excitation with `hidden` units, a convolution of one position back; batch norm and SiLU each.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        inner: int,
        per_group: int,
        hidden: int,
        bilinear: bool = False,
    ) -> None:
        super().__init__()
        self.wide = nn.Sequential(
            pointwise(inputs, inner),
            local_block(inner, inner, kernel, groups=inner // per_group),
            SqueezeExcite(inner, hidden, bilinear=bilinear),
            pointwise(inner, inputs),
        )
        self.resize = local_block(2 * inputs, outputs, kernel)

    def forward(self, features: Float[Tensor, "n length c"]) -> Float[Tensor, "n length c2"]:
        """Return as many positions."""
        resized: Tensor = self.resize(torch.cat([features, self.wide(features)], dim=2))
        return resized
