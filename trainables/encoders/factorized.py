"""Factorized encoder: motifs, grammar and base composition in branches of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nrtune.trainables.core.component import Range, Value, param
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.encoders import Encoded, Encoder, EncoderModule
from nrtune.trainables.models.layers import BatchNorm, Convolution, LimitedExp

MOTIF_KERNEL, GRAMMAR_KERNEL, DILATIONS = 8, 5, (1, 2, 4)
MOTIF_SIZE, GRAMMAR_SIZE, COMPOSITION_SIZE, BOTTLENECK = 64, 64, 32, 16
GC_RANGE = (0.25, 0.75)
"""GC content is binned evenly in this range; what lies beyond falls into the outer bins."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Factorized(Encoder):
    """Motif branch (max pool), grammar branch (dilated, mean pool) and composition branch (base frequencies).

    `vib_beta` > 0 puts a variational bottleneck (Alemi et al. 2017, arXiv:1612.00410) of 16 dimensions on composition
    and adds vib_beta · KL; `gc_bins` > 0 adds a classifier of binned GC content on motif and grammar features behind a
    gradient reversal (Ganin et al. 2016, arXiv:1505.07818), whose reversed gradient is scaled by `gc_weight`.
    `embedding_dropout` follows the three branches (none in the study). `first_activation` follows the first convolution,
    and its norm, of the motif and grammar branches: relu, as in the study, or exp (of the input clamped above at 6).
    """

    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {"small": {"channels": 32}, "study": {"channels": 128}}
    lr: ClassVar[None] = None
    channels: int = param(128, low=1)
    vib_beta: float = param(0.0, low=0)
    gc_bins: int = param(0, low=0, high=100)
    gc_weight: float = param(1.0, low=0)
    embedding_dropout: float = param(0.0, low=0, high=0.95, searched=Range(0.0, 0.5))
    first_activation: str = param("relu", one_of=("relu", "exp"), omitted_at_default=True, searched=("relu", "exp"))

    def __post_init__(self) -> None:
        """Check the parameters. Raises UserError for a single bin, which leaves nothing to classify, and a weight of nothing."""
        super().__post_init__()
        if self.gc_bins == 1:
            raise UserError("encoder factorized: gc_bins must be 0 (no adversary) or at least 2, not 1")
        if self.gc_bins == 0 and self.gc_weight != 1:
            raise UserError(
                f"encoder factorized: gc_weight {self.gc_weight:g} weighs nothing without an adversary: set gc_bins too"
            )

    def module(self) -> EncoderModule:
        """Build the network."""
        return _FactorizedModule(self)


def _convolutions(spec: Factorized, kernel: int, dilations: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number, dilation in enumerate(dilations):
        inputs = spec.channels if number else 4
        layers += [
            Convolution(inputs, spec.channels, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation),
            BatchNorm(spec.channels),
            LimitedExp() if number == 0 and spec.first_activation == "exp" else nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class _FactorizedModule(EncoderModule):
    def __init__(self, spec: Factorized) -> None:
        super().__init__()
        self.spec = spec
        self.motif = _convolutions(spec, MOTIF_KERNEL, (1, 1))
        self.motif_out = nn.Linear(spec.channels, MOTIF_SIZE)
        self.grammar = _convolutions(spec, GRAMMAR_KERNEL, DILATIONS)
        self.grammar_out = nn.Linear(spec.channels, GRAMMAR_SIZE)
        self.composition = nn.Sequential(nn.Linear(4, COMPOSITION_SIZE), nn.ReLU())
        size = COMPOSITION_SIZE
        if spec.vib_beta > 0:
            self.bottleneck = nn.Linear(COMPOSITION_SIZE, 2 * BOTTLENECK)
            size = BOTTLENECK
        if spec.gc_bins > 0:
            self.gc_classifier = nn.Sequential(
                nn.Linear(MOTIF_SIZE + GRAMMAR_SIZE, 64), nn.ReLU(), nn.Linear(64, spec.gc_bins)
            )
        self.dropout = nn.Dropout(spec.embedding_dropout)
        self.embedding_size = MOTIF_SIZE + GRAMMAR_SIZE + size

    def forward(self, one_hot: Float[Tensor, "n 4 length"]) -> Encoded:
        bases = one_hot.transpose(1, 2)
        motif = torch.relu(self.motif_out(self.motif(bases).amax(dim=1)))
        grammar = torch.relu(self.grammar_out(self.grammar(bases).mean(dim=1)))
        frequencies = bases.mean(dim=1)
        composition = self.composition(frequencies)
        auxiliary: dict[str, Tensor] = {}
        if self.spec.vib_beta > 0:
            composition, divergence = self._bottleneck(composition)
            auxiliary["vib_kl"] = self.spec.vib_beta * divergence
        features = torch.cat([motif, grammar], dim=1)
        if self.spec.gc_bins > 0 and self.training:
            auxiliary["gc_adversary"] = self._gc_adversary(features, frequencies)
        return Encoded(self.dropout(torch.cat([features, composition], dim=1)), auxiliary)

    def first_layer(self) -> tuple[nn.Module, ...]:
        """The first convolution and its norm of the motif and of the grammar branch."""
        return self.motif[:2], self.grammar[:2]

    def _bottleneck(self, composition: Float[Tensor, "n c"]) -> tuple[Float[Tensor, "n b"], Float[Tensor, ""]]:
        """A sample of q in training, its mean in evaluation; and KL(q ‖ N(0, I)), summed over dimensions."""
        mean, log_variance = self.bottleneck(composition).float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-10, 10)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        sample = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
        return sample.to(composition.dtype), divergence

    def _gc_adversary(self, features: Float[Tensor, "n f"], frequencies: Float[Tensor, "n 4"]) -> Float[Tensor, ""]:
        """Cross-entropy of the GC bin; the classifier learns it, the branches below unlearn it."""
        low, high = GC_RANGE
        gc = (frequencies[:, 1] + frequencies[:, 2]).float()
        bins = ((gc - low) / (high - low) * self.spec.gc_bins).long().clamp(0, self.spec.gc_bins - 1)
        reversed_features: Tensor = _ReverseGradient.apply(features, self.spec.gc_weight)  # type: ignore[no-untyped-call]
        return cross_entropy(self.gc_classifier(reversed_features).float(), bins)


class _ReverseGradient(torch.autograd.Function):
    """Identity forward; backward the gradient times −scale."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradients[0], None
