"""Ways of training that nrtune does not have, for `benchmarks/recipes.py`: what they gained is in docs/LOG.md."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nrtune.trainables.core.randomness import derive_generator, derive_seed
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.sequences import N_TOKEN
from nrtune.trainables.evaluation import metrics
from nrtune.trainables.evaluation.scoring import predict
from nrtune.trainables.evaluation.spectrum_ridge import spectrum_ridge
from nrtune.trainables.losses import Progress, Target
from nrtune.trainables.models.prediction import Prediction
from nrtune.trainables.training.loop import Training

MASKED = 0.1
"""The share of bases that masking shows as N, a quarter of each."""
MIXED = 0.2
"""Mixup's α: the share of the other sequence is drawn from Beta(α, α)."""
AVERAGED = 1 / 3
"""The last share of the epochs over whose weights SWA averages."""
TAUGHT = 0.5
"""The share of the ridge's prediction in a label, when a network is taught by it."""


class Masking(Training):
    """Each base is hidden by even chance MASKED, anew in each epoch."""

    def _backward(self, rows: Tensor, share: float, progress: Progress) -> dict[str, Tensor]:
        shown, generator = self.augmented, _generator(self, "mask", rows)

        def masked(tokens: Tensor) -> Tensor:
            hidden = torch.rand(tokens.shape, generator=generator, device=tokens.device) < MASKED
            return torch.where(hidden, N_TOKEN, shown(tokens))

        self.augmented = masked  # type: ignore[assignment]
        try:
            return super()._backward(rows, share, progress)
        finally:
            self.augmented = shown


class Mixup(Training):
    """Each sequence is mixed with another of its batch, as is its label (Zhang et al. 2018, arXiv:1710.09412)."""

    def _backward(self, rows: Tensor, share: float, progress: Progress) -> dict[str, Tensor]:
        gather = self.resident.batch_of_strands if self.config.reverse_complement else self.resident.batch
        tokens, target = gather(rows)
        chance = derive_generator(self.config.seed, "mixup", self.epoch, int(rows[0]), len(rows))
        own = torch.from_numpy(chance.beta(MIXED, MIXED, len(rows)).astype(np.float32))
        other = torch.from_numpy(chance.permutation(len(rows)))
        one_hot = self.model.one_hot_of_token[tokens.int()].transpose(1, 2)
        of_own = own[:, None, None]
        encoded = self.model.encoder(of_own * one_hot + (1 - of_own) * one_hot[other])
        mean, log_variance = self.model.head(encoded.embedding)
        mixed = Target(own * target.activity + (1 - own) * target.activity[other], target.aleatoric_std)
        prediction = Prediction(mean, log_variance, encoded.embedding, encoded.auxiliary)
        loss = self.config.loss(prediction, mixed, progress)
        (loss * share).backward()
        return {"train/loss": loss.detach()}


class StochasticWeightAverage(Training):
    """What counts at the end is the even mean of the weights, and norms' statistics, after each of the last epochs.

    Source: Izmailov et al. 2018, arXiv:1803.05407, here under the one-cycle schedule.
    """

    def _train_and_validate(self) -> None:
        super()._train_and_validate()
        first = self.config.epochs - max(2, round(AVERAGED * self.config.epochs))
        if self.epoch <= first:
            return
        state = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.kept = [*getattr(self, "kept", []), state]
        if self.done:
            mean = {name: torch.stack([one[name].float() for one in self.kept]).mean(dim=0).to(value.dtype)
                    for name, value in state.items()}  # fmt: skip
            self.model.load_state_dict(mean)
            found = predict(self.model, self.val_tokens, both_strands=self.config.both_strands).mean
            truth = self.data.dataset.activity[self.val_rows]
            self.best_spearman = metrics.in_distribution(found, truth)["spearman"]
            self.model.load_state_dict(state)


class TaughtByRidge(Training):
    """Labels are mixed with what the ridge on k-mers predicts for the training sequences."""

    def _prepare_data(self) -> None:
        super()._prepare_data()
        taught = _ridge_predictions(self.data.dataset)
        if self.scale is not None:
            taught = (taught - self.scale.mean) / self.scale.std
        rows = torch.from_numpy(self.train_rows)
        activity = self.resident.activity.clone()  # not in place: it may share the data set's memory
        activity[rows] = (1 - TAUGHT) * activity[rows] + TAUGHT * torch.from_numpy(taught)
        self.resident.activity = activity


def _ridge_predictions(dataset: Dataset) -> NDArray[np.float32]:
    """Of the training sequences, in log2(RNA/DNA); worked out once."""
    if dataset.digest not in _PREDICTED:
        _PREDICTED[dataset.digest] = spectrum_ridge(dataset)(dataset.tokens[dataset.rows("train")])
    return _PREDICTED[dataset.digest]


_PREDICTED: dict[str, NDArray[np.float32]] = {}


def _generator(training: Training, purpose: str, rows: Tensor) -> torch.Generator:
    generator = torch.Generator(rows.device)
    return generator.manual_seed(derive_seed(training.config.seed, purpose, training.epoch, int(rows[0])))


UNTAKEN: Mapping[str, type[Training]] = {
    "mask": Masking,
    "mixup": Mixup,
    "swa": StochasticWeightAverage,
    "ridge_taught": TaughtByRidge,
}
"""By their names; each with the recipe `field`."""
