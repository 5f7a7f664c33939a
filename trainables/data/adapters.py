"""The bases that all training sequences share at their ends: what an insert stands between when a model is shown it."""

from __future__ import annotations

from typing import NamedTuple

from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.sequences import to_text


class Adapters(NamedTuple):
    """Bases at the left and at the right end, in upper case; empty where sequences share none."""

    left: str
    right: str

    def __str__(self) -> str:
        return " … ".join(part or "none" for part in self)

    def insert(self, length: int) -> int:
        """Bases between them in a sequence of `length` bases."""
        return length - len(self.left) - len(self.right)

    def of(self, sequence: str) -> bool:
        """Whether a sequence, in upper case, begins and ends with them."""
        return sequence.startswith(self.left) and sequence.endswith(self.right)

    def around(self, sequence: str, length: int) -> str | None:
        """A shorter sequence, in upper case, completed to `length` bases; None where the adapters do not complete it.

        An insert stands between both. One that brings an adapter, or the inner part of one, gets what is missing, if there is
        one way only.
        """
        missing = length - len(sequence)
        found = {
            self.left[:first] + sequence + self.right[len(self.right) - (missing - first) :]
            for first in range(max(missing - len(self.right), 0), min(missing, len(self.left)) + 1)
        }
        whole = [text for text in found if self.of(text)]
        return whole[0] if len(whole) == 1 else None


def adapters_of(dataset: Dataset) -> Adapters:
    """What all sequences of a data set share at their ends."""
    left, right = dataset.flanks
    first = to_text(dataset.tokens[0])
    return Adapters(first[:left], first[len(first) - right :])
