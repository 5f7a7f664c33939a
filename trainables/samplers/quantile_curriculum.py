"""Quantile curriculum: quantile-stratified draws whose resolution grows as the training goes on."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.component import param
from nrtune.trainables.samplers import Sampler, TrainRows
from nrtune.trainables.samplers._draws import draw_from_quantiles

STAGES = (0.15, 0.25, 0.5, 1.0)
"""Each stage's share of the last resolution: 3, 5, 10 and 20 of the study's 20."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantileCurriculum(Sampler):
    """`quantile_stratified` with 15 %, 25 %, 50 % and 100 % of `last_quantiles` (3, 5, 10 and 20 of 20).

    A stage lasts `pace` of the epochs (the study's: an eighth), the last one until the end. Curricula go from coarse to
    fine as in Bengio et al. 2009 (doi:10.1145/1553374.1553380).
    """

    last_quantiles: int = param(20, low=2)
    pace: float = param(0.125, low=0, high=1)

    def n_quantiles_at(self, epoch: int, epochs: int) -> int:
        """The resolution in an epoch, which counts from 0."""
        # A rounding error must not put a stage off by an epoch.
        stage = len(STAGES) - 1 if self.pace == 0 else int(epoch / epochs / self.pace + 1e-9)
        return max(2, round(STAGES[min(stage, len(STAGES) - 1)] * self.last_quantiles))

    def epoch_rows(self, rows: TrainRows, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return as many indices as there are rows, shuffled."""
        return draw_from_quantiles(rows, self.n_quantiles_at(epoch, epochs), 0.0, generator)
