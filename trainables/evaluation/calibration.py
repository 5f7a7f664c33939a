"""From a model's own output to log2(RNA/DNA): a loss over ranks fixes no scale, and short trainings fall short of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.evaluation.metrics import affine_fit


class Calibration(NamedTuple):
    """The affine map slope · output + intercept of a model's mean, by least squares on validation rows.

    A log-variance has no part in it: what trains one compares exp ℓ with s², or with the squared errors of activity, so it
    is in log2(RNA/DNA) whatever became of the mean.
    """

    slope: float
    intercept: float

    def __str__(self) -> str:
        return f"log2(RNA/DNA) = {self.slope:.4g} · output {self.intercept:+.4g}"

    @classmethod
    def fit(cls, output: NDArray[np.floating], activity: NDArray[np.floating]) -> Calibration:
        """Least squares of activity (n,) on output (n,); slope 0 and the mean activity for a constant."""
        return cls(*affine_fit(output, activity))

    def apply(self, output: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return log2(RNA/DNA) (n,) for a model's output (n,), in double precision: effects are small differences."""
        return self.slope * np.asarray(output, np.float64) + self.intercept


def why_unusable(calibration: Calibration | None) -> str | None:
    """Why a model does not predict log2(RNA/DNA), None where it does.

    A slope below 0 is refused, not applied: the output of such a model is correlated negatively with validation activity, and
    every metric of the model is of that output, whose order the map would turn round.
    """
    if calibration is None:
        return "its checkpoint was written before models were calibrated: train it again for log2(RNA/DNA)"
    if calibration.slope < 0:
        return f"its output falls as validation activity rises (slope {calibration.slope:.3g}), so it predicts none"
    return None
