"""What a trial is given: sequences to learn from, and variants that it is scored on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nrtune.trainables.core.component import NONE
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks import VariantSet
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.warm_start import WarmStart


class ActivityScale(NamedTuple):
    """Mean and standard deviation of the training split's activity, log2(RNA/DNA)."""

    mean: float
    std: float


class TrainingData(NamedTuple):
    """What a trial learns from, the benchmarks whose variants it is scored on, and the weights that it may start from."""

    dataset: Dataset
    benchmarks: tuple[VariantSet, ...] = ()
    start: WarmStart | None = None

    def __repr__(self) -> str:
        return f"TrainingData({', '.join(map(repr, (self.dataset, *self.benchmarks)))})"

    def benchmark(self, name: str) -> VariantSet | None:
        """The variants of a benchmark, by its registered name; None where there are none."""
        return next((variants for variants in self.benchmarks if variants.benchmark == name), None)

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each benchmark, by its name."""
        return {variants.benchmark: variants.digest for variants in self.benchmarks}

    def fingerprint_of(self, config: TrialConfig) -> str:
        """The fingerprint of a trial on these data.

        CAGI5 and the saturation mutagenesis table have a place of their own, as they had before there were others.
        """
        digests = self.digests
        placed = [digests.pop(name, "none") for name in ("cagi5", "satmut")]
        return config.fingerprint(self.dataset.digest, *placed, *(f"{n}:{digests[n]}" for n in sorted(digests)))

    @property
    def activity_scale(self) -> ActivityScale:
        """What labels are standardised by."""
        activity = self.dataset.activity[self.dataset.rows("train")].astype(np.float64)
        return ActivityScale(float(activity.mean()), float(activity.std()))

    def check_recipe(self, config: TrialConfig) -> None:
        """Raise UserError where the configuration shifts what was measured out of a sequence or can't scale the labels.

        Also where it starts from weights that are not given.
        """
        if config.warm_start not in (NONE, None if self.start is None else self.start.digest):
            given = "none are given" if self.start is None else f"{self.start.path} has {self.start.digest}"
            raise UserError(
                f"the trial starts from the weights {config.warm_start}, and {given}; give --warm-start with their file"
            )
        if config.max_shift and config.max_shift > min(self.dataset.flanks):
            left, right = self.dataset.flanks
            raise UserError(
                f"{self.dataset.name}: max_shift {config.max_shift} would cut off bases that differ between sequences:"
                f" all share {left} at the left end and {right} at the right; give {min(left, right)} or less"
            )
        if config.standardise and not self.activity_scale.std > 0:
            raise UserError(
                f"{self.dataset.name}: every training sequence has one activity, so it can't be standardised;"
                " set standardise to false"
            )

    def check_noise(self, config: TrialConfig) -> None:
        """Raise UserError where the configuration needs noise that was not measured."""
        if config.needs_noise and self.dataset.aleatoric_std is None:
            part = f"loss {config.loss.name()}" if config.loss.needs_noise else f"sampler {config.sampler.name()}"
            raise UserError(f"{self.dataset.name}: no noise was measured, and {part} needs it")
