"""Rules of early stopping: one file each, its name is the scheduler's. What a rule decides is a function of the records."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from nrtune.trainables.core.registry import ClassRegistry

LearningCurve = Sequence[float]
"""A trial's validation Spearman after each epoch, from the first on."""


class EarlyStopping(NamedTuple):
    """Epochs that every trial gets; by how much fewer trials go on from each rung to the next; and the rule's name."""

    grace_epochs: int
    reduction_factor: float
    rule: str = "asha"


class Rule(ABC):
    """When a trial is stopped: where what it shows at a rung is below the threshold of what the others showed there."""

    def __init__(self, epochs: int, stopping: EarlyStopping) -> None:
        self.epochs, self.stopping = epochs, stopping
        self.rungs = self.ladder(epochs)

    def ladder(self, epochs: int) -> tuple[int, ...]:
        """The epochs after which a trial may be stopped, and is scored: the grace period, times each power of the factor."""
        found, rung = [], float(self.stopping.grace_epochs)
        while rung < epochs:
            found.append(math.ceil(rung - 1e-9))
            rung *= self.stopping.reduction_factor
        return tuple(dict.fromkeys(rung for rung in found if rung < epochs))

    def bracket(self, fingerprint: str) -> int:
        """Trials are compared to those of their own bracket, whose first rungs, so many as this, judge nobody."""
        return 0

    @abstractmethod
    def shows(self, curve: LearningCurve) -> float:
        """What a trial is judged by; the curve ends at the rung."""

    @abstractmethod
    def leaves(self, curve: LearningCurve) -> float:
        """What others are compared to; the curve ends at the rung."""

    @abstractmethod
    def threshold(self, others: Sequence[float]) -> float | None:
        """The least that a trial must show, of what the others left, all finite; None where nobody is stopped."""


RULES: ClassRegistry[Rule] = ClassRegistry("nrtune.orchestrator.lifecycle.rules", "scheduler", Rule)


def make_rule(epochs: int, stopping: EarlyStopping) -> Rule:
    """The rule of a campaign whose trials have so many epochs. Raises UserError for an unknown one."""
    return RULES.get(stopping.rule)(epochs, stopping)


def default_grace(epochs: int) -> int:
    """A ninth of the budget, so that a factor of 3 makes two rungs, a ninth and a third; where that is an epoch, a third.

    Rounded up, as a rung near the end saves little and costs a value; at least 2 epochs, as before that a one-cycle schedule
    has shown little.
    """
    ninth = math.ceil(epochs / 9)
    return max(2, ninth if ninth > 1 else math.ceil(epochs / 3))
