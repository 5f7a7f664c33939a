"""Training: the only epoch loop. One trial runs here in a notebook, on a lone GPU or under a cluster alike."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nrtune.trainables.core.files import BEST, HISTORY, LAST, write_atomically
from nrtune.trainables.core.randomness import derive_generator, derive_seed
from nrtune.trainables.data.adapters import adapters_of
from nrtune.trainables.evaluation import metrics
from nrtune.trainables.evaluation.predictions import Score, store_predictions
from nrtune.trainables.evaluation.scoring import predict, score
from nrtune.trainables.losses import Progress
from nrtune.trainables.models.kernels.proof import AUTO, prove
from nrtune.trainables.models.model import Model
from nrtune.trainables.samplers import TrainRows
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.augmentation import Augmentation
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.device_data import ResidentData
from nrtune.trainables.training.divergence import Diverged as Diverged
from nrtune.trainables.training.divergence import check_loss, check_predictions
from nrtune.trainables.training.optimiser import optimiser_of
from nrtune.trainables.training.progress import Goal, read_progress
from nrtune.trainables.training.training_data import TrainingData
from nrtune.trainables.training.warm_start import begin
from nrtune.trainables.training.weight_average import average_of


@dataclasses.dataclass(frozen=True)
class EpochReport:
    """What an epoch gave: `epoch` counts from 1; metrics by name; the score where one was taken after this epoch."""

    epoch: int
    epochs: int
    metrics: dict[str, float]
    score: Score | None

    @property
    def last(self) -> bool:
        """Whether the training is done."""
        return self.epoch == self.epochs


class Training:
    """One trial's training, an epoch at a time; `open_training` goes on with one that has begun.

    After the epochs of `score_at` and after the last, the best epoch so far is scored and its predictions are stored.
    With `micro_batches`, each batch is run in so many parts whose gradients are added up: that takes less memory, while
    batch norm, and a loss over pairs within a batch, see the parts alone. `kernels`: one of `proof.KERNELS`, for a GPU in bf16;
    what was decided of each kernel is in the attribute of this name.

    Trials of one seed share their random numbers: the first weights of like layers, dropout, and what samplers draw
    from. Their differences are paired, and a parameter that reaches nothing leaves bitwise the same metrics.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrainingData,
        *,
        device: str | None = None,
        folder: Path | None = None,
        score_at: Collection[int] = (),
        micro_batches: int = 1,
        kernels: str = AUTO,
    ) -> None:
        data.check_noise(config)
        data.check_recipe(config)
        self.config, self.data, self.folder, self.score_at = config, data, folder, frozenset(score_at)
        self.micro_batches = micro_batches
        self.fingerprint = data.fingerprint_of(config)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.bf16 = config.in_bf16(self.device)
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch, self.best_spearman = 0, -math.inf
        self._prepare_data()
        self._prepare_model()
        self.kernels = self._prove(kernels)

    @property
    def done(self) -> bool:
        """Whether every epoch has been trained."""
        return self.epoch >= self.config.epochs

    def run_epoch(self) -> EpochReport:
        """Train and validate one epoch, keep a checkpoint, and score where a score is due. Raises Diverged."""
        if not self.done:
            self._train_and_validate()
        return self.report()

    def report(self) -> EpochReport:
        """The last epoch that was trained, scored anew where a score is due after it. Nothing is trained."""
        due = self.epoch in self.score_at or self.done
        return EpochReport(self.epoch, self.config.epochs, self.history[-1], self.score() if due else None)

    def sequences_a_second(self, seconds: float, warm_up: int = 3) -> float:
        """How fast it trains, measured on whole batches for about so long; the training is of no use afterwards."""
        rows = torch.from_numpy(self.train_rows).to(self.device)
        batches = rows.split(self.config.batch_size)[: max(1, len(rows) // self.config.batch_size)]
        self.model.train()
        steps, sequences, started = 0, 0, time.perf_counter()
        while steps <= warm_up or time.perf_counter() - started < seconds:
            if steps == warm_up:
                sequences, started = 0, time.perf_counter()
            batch = batches[steps % len(batches)]
            float(self._step(batch, Progress(0, 1))["train/loss"])  # waits for the device
            steps, sequences = steps + 1, sequences + len(batch)
        return sequences / (time.perf_counter() - started)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint. Raises `checkpoint.Unreadable` for a damaged one, and that of another trial."""
        average = self.average.model if self.average else None
        goal = Goal(self.fingerprint, self.config.epochs, self.model, average, self.optimiser, self.device)
        content = read_progress(path, goal)
        self.epoch, self.history = content["epoch"], content["history"]
        self.best, self.best_epoch = content["best"], content["best_epoch"]
        self.best_spearman = content["best_spearman"]
        self.model.load_state_dict(content["model"])
        if self.average:
            self.average.model.load_state_dict(content["average"])
        try:
            self.optimiser.load_state_dict(content["optimiser"])
            self.schedule.load_state_dict(content["schedule"])
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise checkpoint.Unreadable(f"{path}: is damaged (its optimiser is another's)") from error
        self._keep_history(path.parent)  # a kill between the two files left it an epoch short

    def score(self) -> Score:
        """Score the best validation epoch; the model keeps its weights if the training is done."""
        current = None if self.done else _copy(self.model)
        self.model.load_state_dict(self.best)
        dataset, both_strands = self.data.dataset, self.config.both_strands
        found = score(self.model, dataset, self.resident.tokens, self.data.benchmarks, both_strands=both_strands)
        if current is not None:
            self.model.load_state_dict(current)
        found.metrics["best_epoch"] = float(self.best_epoch)
        if self.folder is not None:
            self._store(found, self.folder)
        return found

    def _prepare_data(self) -> None:
        dataset = self.data.dataset
        self.scale = self.data.activity_scale if self.config.standardise else None
        self.resident = ResidentData(dataset, self.device, self.scale)
        self.augmented = Augmentation(self.config, self.device)
        self.train_rows, self.val_rows = dataset.rows("train"), dataset.rows("val")
        std = dataset.aleatoric_std
        self.sampled = TrainRows(dataset.activity[self.train_rows], None if std is None else std[self.train_rows])
        self.val_tokens = self.resident.tokens[torch.from_numpy(self.val_rows).to(self.device)]

    def _prepare_model(self) -> None:
        config = self.config
        with torch.random.fork_rng(devices=self._cuda_devices()):
            torch.manual_seed(derive_seed(config.seed, "weights"))
            self.model = config.build_model().to(self.device)
            if self.scale is not None:
                self.model.activity_scale = torch.tensor(self.scale, device=self.device)
            begin(self.model, config, self.data.start)
            self.average = average_of(self.model, config)
        self.trained = torch.compile(self.model) if config.compile else self.model
        self.optimiser = optimiser_of(self.model, config)
        steps = config.epochs * math.ceil(len(self.train_rows) / config.batch_size)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, max_lr=config.lr, total_steps=steps)

    def _prove(self, kernels: str) -> dict[str, str]:
        if self.device.type != "cuda" or not self.bf16:
            return {}
        rows = min(len(self.train_rows), math.ceil(self.config.batch_size / self.micro_batches))
        return prove(
            self.model, self.resident.tokens[torch.from_numpy(self.train_rows[:rows]).to(self.device)], kernels
        )

    def _train_and_validate(self) -> None:
        started = time.perf_counter()
        # Dropout draws from torch's global generator: seeded here for each epoch and put back after, so that an epoch
        # is the same after a resume and the caller's own random state is left alone.
        with torch.random.fork_rng(devices=self._cuda_devices()):
            torch.manual_seed(derive_seed(self.config.seed, "epoch", self.epoch))
            found = self._train()
        seconds = time.perf_counter() - started
        check_loss(found["train/loss"], self.epoch + 1)
        validated = self.average.model if self.average else self.model
        mean = predict(validated, self.val_tokens, both_strands=self.config.both_strands).mean
        check_predictions(mean, self.epoch + 1)
        self.epoch += 1
        of_val = metrics.in_distribution(mean, self.data.dataset.activity[self.val_rows])
        found |= {f"val/{name}": value for name, value in of_val.items()}
        found |= {"epoch": float(self.epoch), "lr": float(self.optimiser.param_groups[0]["lr"]),
                  "seconds": seconds, "samples_per_second": len(self.train_rows) / seconds}  # fmt: skip
        self.history.append(found)
        if found["val/spearman"] > self.best_spearman or not self.best:
            self.best_spearman, self.best_epoch = found["val/spearman"], self.epoch
            self.best = _copy(validated)
        if self.folder is not None:
            self._keep(self.folder)

    def _train(self) -> dict[str, float]:
        """One pass over the sampler's rows; nothing in it waits for the device."""
        order = torch.from_numpy(self._epoch_rows()).to(self.device)
        progress = Progress(self.epoch, self.config.epochs)
        totals: dict[str, Tensor] = {}
        self.augmented.begin(self.epoch)
        self.model.train()
        for chosen in order.split(self.config.batch_size):
            for name, value in self._step(chosen, progress).items():
                totals[name] = totals.get(name, 0) + value
            self.schedule.step()
            if self.average:
                self.average.update(self.schedule.last_epoch)
        return {name: float(total) / len(order) for name, total in totals.items()}

    def _epoch_rows(self) -> NDArray[np.int64]:
        """The data set's rows that the sampler draws for this epoch; ~row for the other strand of a row's sequence."""
        generator = derive_generator(self.config.seed, "sampler", self.epoch)
        rows = self.train_rows[self.config.sampler.epoch_rows(self.sampled, self.epoch, self.config.epochs, generator)]
        if not self.config.reverse_complement:
            return rows
        is_other = derive_generator(self.config.seed, "strand", self.epoch).random(len(rows)) < 0.5
        return np.where(is_other, ~rows, rows)

    def _step(self, chosen: Tensor, progress: Progress) -> dict[str, Tensor]:
        """One step of the optimiser on a batch; returns each term of the loss, summed over its rows."""
        totals: dict[str, Tensor] = {}
        self.optimiser.zero_grad(set_to_none=True)
        for part in chosen.chunk(self.micro_batches):
            for name, value in self._backward(part, len(part) / len(chosen), progress).items():
                totals[name] = totals.get(name, 0) + value * len(part)
        self.optimiser.step()
        return totals

    def _backward(self, rows: Tensor, share: float, progress: Progress) -> dict[str, Tensor]:
        """Add the gradients of rows that are a share of their batch; returns the terms of the loss."""
        gather = self.resident.batch_of_strands if self.config.reverse_complement else self.resident.batch
        tokens, target = gather(rows)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            prediction = self.trained(self.augmented(tokens), as_learned=True)
        terms = {"train/loss": self.config.loss(prediction, target, progress)}
        terms |= {f"train/{name}": value for name, value in prediction.auxiliary.items()}
        total = torch.stack(list(terms.values())).sum()
        (total if share == 1 else total * share).backward()
        return {name: value.detach() for name, value in terms.items()}

    def _keep(self, folder: Path) -> None:
        best = {"best": self.best, "best_epoch": self.best_epoch, "best_spearman": self.best_spearman}
        content = {
            "fingerprint": self.fingerprint,
            "epoch": self.epoch,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": self.average.model.state_dict() if self.average else None,
        }
        checkpoint.save(folder / LAST, content | best)
        self._keep_history(folder)

    def _keep_history(self, folder: Path) -> None:
        text = json.dumps(self.history)
        write_atomically(folder / HISTORY, lambda path: path.write_text(text), parents=False)

    def _store(self, found: Score, folder: Path) -> None:
        content = {
            "config": self.config.to_flat(),
            "fingerprint": self.fingerprint,
            "length": self.data.dataset.length,
            "adapters": list(adapters_of(self.data.dataset)),
            "epoch": self.best_epoch,
            "state": {name: value.cpu() for name, value in self.best.items()},
            "calibration": found.calibration._asdict(),  # of these weights, in one file with them
        }
        checkpoint.save(folder / BEST, content)
        store_predictions(found, folder, self.fingerprint)

    def _cuda_devices(self) -> list[int]:
        return [torch.cuda.current_device()] if self.device.type == "cuda" else []


def _copy(model: Model) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
