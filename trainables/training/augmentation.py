"""Changes to the sequences that are trained on: drawn on the device they lie on, a batch at a time, anew in each epoch."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from nrtune.trainables.core.randomness import derive_seed
from nrtune.trainables.data.sequences import N_TOKEN
from nrtune.trainables.training.config import TrialConfig


class Augmentation:
    """The shifts and point mutations of a configuration; what it does not ask for draws nothing.

    An epoch's random numbers come from the trial's seed and the epoch alone, so that it is the same after a resume.
    """

    def __init__(self, config: TrialConfig, device: torch.device) -> None:
        self.max_shift, self.mutation_rate, self._seed = config.max_shift, config.mutation_rate, config.seed
        self._generators = {purpose: torch.Generator(device) for purpose in ("shift", "mutation")}
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Draw as of the beginning of an epoch, which counts from 0."""
        for purpose, generator in self._generators.items():
            generator.manual_seed(derive_seed(self._seed, purpose, epoch))

    def __call__(self, tokens: UInt8[Tensor, "n length"]) -> UInt8[Tensor, "n length"]:
        """Return n sequences changed at random, or themselves where nothing is asked for."""
        if self.max_shift:
            low, generator = -self.max_shift, self._generators["shift"]
            by = torch.randint(low, self.max_shift + 1, (len(tokens),), generator=generator, device=tokens.device)
            tokens = shifted(tokens, by)
        if self.mutation_rate:
            draws = torch.rand(tokens.shape, generator=self._generators["mutation"], device=tokens.device)
            tokens = mutated(tokens, draws, self.mutation_rate)
        return tokens


def shifted(tokens: UInt8[Tensor, "n length"], by: Int[Tensor, " n"]) -> UInt8[Tensor, "n length"]:
    """Move each sequence by so many bases to the right, or where that is negative to the left; N where it was."""
    length = tokens.shape[1]
    source = torch.arange(length, device=tokens.device) - by[:, None]
    moved = tokens.gather(1, source.clamp(0, length - 1))
    return torch.where((source >= 0) & (source < length), moved, N_TOKEN)


def mutated(
    tokens: UInt8[Tensor, "n length"], draws: Float[Tensor, "n length"], rate: float
) -> UInt8[Tensor, "n length"]:
    """Replace each base whose draw from [0, 1) is below the rate: each third of [0, rate) stands for another base.

    N stays N.
    """
    # Rounding may carry a draw just below the rate to 3, and one above it is not used.
    which = (draws * (3 / rate)).clamp(max=2).to(torch.uint8)
    other = (tokens + 1 + which) & 3
    return torch.where((draws < rate) & (tokens < N_TOKEN), other, tokens)
