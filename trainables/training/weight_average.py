"""An exponential moving average of a model's weights (Polyak and Juditsky 1992, doi:10.1137/0330046, average them evenly)."""

from __future__ import annotations

from torch.optim.swa_utils import get_ema_multi_avg_fn

from nrtune.trainables.models.model import Model
from nrtune.trainables.training.config import TrialConfig


class WeightAverage:
    """The average of a model's weights and of the statistics of its norms, in `model`, another of its kind.

    After step t, which counts from 1, it moves towards the weights by 1 - min(decay, (1 + t) / (10 + t)) of the way: a
    short training would else end with what it began with.
    """

    def __init__(self, model: Model, of: Model, decay: float) -> None:
        model.load_state_dict(of.state_dict())
        self.model, self.decay = model, decay
        averaged, current = model.state_dict(), of.state_dict()  # the tensors themselves, which steps change in place
        names = [name for name, value in averaged.items() if value.is_floating_point()]
        self._averaged, self._current = [averaged[name] for name in names], [current[name] for name in names]

    def update(self, step: int) -> None:
        """Take up the weights after a step. Nothing waits for the device."""
        average = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        average(self._averaged, self._current, None)


def average_of(model: Model, config: TrialConfig) -> WeightAverage | None:
    """The average of a model's weights that a configuration asks for, on the model's device; None where it asks for none."""
    if not config.ema:
        return None
    return WeightAverage(config.build_model().to(model.one_hot_of_token.device), model, config.ema)
