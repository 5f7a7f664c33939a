"""Ridge regression on sparse features from large penalties to small ones; the product of the rows with themselves is never made.

The Krylov space of a matrix and a vector is that of the matrix plus any multiple of the identity: one Lanczos process solves
for every penalty (Frommer and Maass 1999, SIAM J. Sci. Comput. 20, 1831–1850), for a large one in tens of passes over the rows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import solveh_banded

Floats = NDArray[np.float64]

ACCURACY = 1e-7
"""By which part of their norm the weights may be off: a tenth of what float32, in which predictions are stored, resolves."""

_CHECKED_EVERY = 10
"""Steps between looks at the accuracy."""


class Linear(NamedTuple):
    """A linear model: target = intercept + features · weights (features,), of a penalty."""

    penalty: float
    weights: Floats
    intercept: float


class Rows:
    """Rows of features, part by part; centred on their weighted mean.

    parts: each (some, features). weight: (n,) of each row, greater than 0.
    """

    def __init__(self, parts: Sequence[sparse.csr_array], weight: Floats) -> None:
        self.parts, self.weight = tuple(parts), weight
        self._ends = np.cumsum([part.shape[0] for part in self.parts])[:-1]
        self.mean = self._sums(weight) / weight.sum()

    def times(self, weights: Floats) -> Floats:
        """The centred rows' products (n,) with weights (features,)."""
        centred: Floats = np.concatenate([part @ weights for part in self.parts]) - self.mean @ weights
        return centred

    def sums(self, factor: Floats) -> Floats:
        """The sum (features,) of the centred rows, each times its weight and a factor, (n,)."""
        centred: Floats = self._sums(self.weight * factor) - self.mean * (self.weight @ factor)
        return centred

    def _sums(self, factor: Floats) -> Floats:
        parts = zip(self.parts, np.split(factor, self._ends), strict=True)
        return functools.reduce(np.add, (part.T @ of_part for part, of_part in parts))


def ridge_path(rows: Rows, target: Floats, penalties: Iterable[float]) -> Iterator[Linear]:
    """Minimise Σ weight · (target − intercept − features · weights)² + penalty · |weights|² for one penalty after another.

    penalties: greater than 0, the largest first; each costs what is to be done beyond the one before, when it is asked for.
    The weight of a feature that is alike in all rows is 0.
    """
    mean = float(rows.weight @ target / rows.weight.sum())
    krylov = _Krylov(rows, rows.sums(target - mean))
    for penalty in penalties:
        weights = krylov.solve(penalty)
        yield Linear(penalty, weights, mean - float(weights @ rows.mean))


class _Krylov:
    """Solves (Σ weight · row rowᵀ + penalty) x = right, (features,), in the space of right and what the matrix makes of it."""

    def __init__(self, rows: Rows, right: Floats) -> None:
        self.rows, self.norm = rows, float(np.linalg.norm(right))
        self.diagonal: list[float] = []
        self.below: list[float] = []  # the last one is of the direction beyond those that are solved in
        self.basis = np.empty((0, len(right)))
        self.next = right / (self.norm or 1.0)

    def solve(self, penalty: float) -> Floats:
        """The solution, off by no more than ACCURACY of its norm."""
        if self.norm == 0:
            return np.zeros_like(self.next)
        while True:
            if self.diagonal:
                found = self._within(penalty)
                # What is left of the equations, over the penalty, is the most that the solution can be off by.
                off = self.below[-1] * abs(found[-1]) / (penalty * float(np.linalg.norm(found)))
                if off <= ACCURACY or self._is_whole():
                    solution: Floats = found @ self.basis[: len(found)]
                    return solution
            for _ in range(_CHECKED_EVERY):
                if not self._is_whole():
                    self._step()

    def _step(self) -> None:
        step = len(self.diagonal)
        if step == len(self.basis):
            self.basis = np.concatenate([self.basis, np.empty((max(step, 2 * _CHECKED_EVERY), len(self.next)))])
        self.basis[step] = self.next
        product = self.rows.sums(self.rows.times(self.next))
        self.diagonal.append(float(self.next @ product))
        known = self.basis[: step + 1]
        for _ in range(2):  # the second time takes away what rounding left of the known directions
            product -= (known @ product) @ known
        self.below.append(float(np.linalg.norm(product)))
        self.next = product / (self.below[-1] or 1.0)

    def _is_whole(self) -> bool:
        """Whether no direction is left: what is beyond is rounding."""
        if not self.diagonal:
            return False
        rounding = float(np.finfo(float).eps) * max(self.diagonal)
        return len(self.diagonal) == len(self.next) or self.below[-1] <= rounding

    def _within(self, penalty: float) -> Floats:
        """The solution's coordinates in the basis: those of a tridiagonal system."""
        if len(self.diagonal) == 1:  # of which LAPACK's solver for two diagonals wants none
            return np.array([self.norm / (self.diagonal[0] + penalty)])
        banded = np.stack([np.array([0.0, *self.below[:-1]]), np.array(self.diagonal) + penalty])
        right = np.zeros(len(self.diagonal))
        right[0] = self.norm
        found: Floats = solveh_banded(banded, right, check_finite=False)
        return found
