"""Asynchronous successive halving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nrtune.orchestrator.lifecycle.rules import LearningCurve, Rule


class Asha(Rule):
    """Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934): the best 1/reduction_factor go on."""

    def shows(self, curve: LearningCurve) -> float:
        """The value at the rung."""
        return curve[-1]

    def leaves(self, curve: LearningCurve) -> float:
        """The same."""
        return curve[-1]

    def threshold(self, others: Sequence[float]) -> float | None:
        """A percentile, by linear interpolation; the first is not stopped."""
        return float(np.percentile(others, (1 - 1 / self.stopping.reduction_factor) * 100)) if others else None
