"""The median stopping rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nrtune.orchestrator.lifecycle.rules import LearningCurve, Rule

MIN_CURVES = 3
"""The median rule stops nobody before so many other trials have come as far."""


class Median(Rule):
    """The median stopping rule (Golovin et al. 2017, doi:10.1145/3097983.3098043).

    It judges after the epochs of `rungs` alone, where trials are scored, so that a stopped trial's metrics are those of
    all that it trained.
    """

    def ladder(self, epochs: int) -> tuple[int, ...]:
        """After every `grace_epochs` epochs; the reduction factor does not matter."""
        return tuple(range(self.stopping.grace_epochs, epochs, self.stopping.grace_epochs))

    def shows(self, curve: LearningCurve) -> float:
        """The best value so far."""
        return max(curve)

    def leaves(self, curve: LearningCurve) -> float:
        """The mean of the values from the grace period on."""
        return float(np.mean(curve[self.stopping.grace_epochs - 1 :]))

    def threshold(self, others: Sequence[float]) -> float | None:
        """The median of MIN_CURVES or more."""
        return float(np.median(others)) if len(others) >= MIN_CURVES else None
