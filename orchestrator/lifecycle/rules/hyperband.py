"""Asynchronous HyperBand."""

from __future__ import annotations

import numpy as np

from nrtune.orchestrator.lifecycle.rules.asha import Asha
from nrtune.trainables.core.randomness import derive_generator


class Hyperband(Asha):
    """The asynchronous HyperBand of the same paper: ASHA with several brackets.

    The first bracket has all rungs, each other one fewer at the beginning, and the last has none: a method that learns
    slowly is not always judged by its first epochs. Each bracket gets e times as many trials as the next. A trial's
    bracket follows from its fingerprint, so that it is the same after an interruption.
    """

    def bracket(self, fingerprint: str) -> int:
        """The trial's."""
        shares = np.exp(-np.arange(len(self.rungs) + 1, dtype=float))
        return int(derive_generator("bracket", fingerprint).choice(len(shares), p=shares / shares.sum()))
