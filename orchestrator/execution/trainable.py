"""What runs on a worker: one actor, reused for trial after trial, an epoch a step."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ray import tune

from nrtune.analysis.store.records import MANIFEST
from nrtune.orchestrator.execution.failures import classify, traceback_of
from nrtune.orchestrator.lifecycle.faults import CRASHED, TrialTimeout
from nrtune.orchestrator.lifecycle.messages import MESSAGE, EpochEnded, Message, TrialFailed
from nrtune.trainables.core.files import LAST
from nrtune.trainables.core.registry import PLUGIN_VARIABLE

if TYPE_CHECKING:
    from nrtune.trainables.training.loop import EpochReport, Training

TUNE_NEEDS = frozenset({"trial_id", "date", "pid", "hostname", "node_ip"})


class TrialTrainable(tune.Trainable):
    """Steps a `nrtune.trainables.training.loop.Training`; whatever it raises becomes a result, so that the actor lives on.

    config: proposal (as JSON) and micro_batches. options, of all trials: folder (theirs), score_at, device (None: a GPU if
    there is one), threads, time_limit (seconds or None), plugins (folders), kernels (one of `proof.KERNELS`).
    """

    def setup(self, config: dict[str, Any], data: Any = None, options: dict[str, Any] | None = None) -> None:
        """Take what all trials of the node share; the training itself is built in the first step."""
        self.data = data
        self.training: Training | None = None
        self.options = options or {}
        os.environ[PLUGIN_VARIABLE] = self.options["plugins"]
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turn to another trial."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch and tell of it, or of the failure."""
        started = time.monotonic()
        message: Message
        try:
            with _TimeLimit(self.left):
                message = self._step()
            self.epoch = message.epoch
            return {MESSAGE: message, "done": message.final}
        except Exception as error:
            self.training = None
            failure = classify(error)
            if failure.failure_class == CRASHED and "CUDA error" in failure.message:
                raise  # the process can't use the device any more: it must not be given another trial
            message = TrialFailed(epoch=self.epoch, failure=failure, traceback=traceback_of(error))
            return {MESSAGE: message, "done": True}
        finally:
            if self.left is not None:
                self.left -= time.monotonic() - started

    def get_auto_filled_metrics(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Only what Ray Tune itself needs: it keeps histories of every number, of every trial."""
        metrics = super().get_auto_filled_metrics(*arguments, **options)
        return {name: value for name, value in metrics.items() if name in TUNE_NEEDS}

    def cleanup(self) -> None:
        """Let go of the model and the data."""
        self.training = None
        self.data = None

    def _begin(self, config: dict[str, Any]) -> None:
        self.proposal: dict[str, Any] = json.loads(config["proposal"])
        self.micro_batches = config["micro_batches"]
        self.training = None
        self.epoch = 0
        self.left: float | None = self.options["time_limit"]

    def _step(self) -> EpochEnded:
        if self.training is not None:
            return _message(self.training, self.training.run_epoch(), told=self.epoch)
        self.training = training = self._build()
        # One that was interrupted tells where it is before it goes on: it may have to end there.
        return _message(training, training.report() if training.history else training.run_epoch(), told=0)

    def _build(self) -> Training:
        """The trial's training, which goes on from its checkpoint; from the first epoch where that can't be read."""
        import torch

        from nrtune.trainables.training.checkpoint import Unreadable
        from nrtune.trainables.training.config import TrialConfig
        from nrtune.trainables.training.opening import open_training

        torch.set_num_threads(self.options["threads"])
        folder = Path(self.options["folder"]) / self.proposal["fingerprint"]
        if not (folder.parents[1] / MANIFEST).exists():
            raise FileNotFoundError(
                f"{folder.parents[1]} is not shared with this node: put --out on storage that all nodes see"
            )
        config = TrialConfig.from_flat(self.proposal["config"])
        build = partial(
            open_training,
            config,
            self.data,
            folder=folder,
            device=self.options["device"],
            score_at=self.options["score_at"],
            micro_batches=self.micro_batches,
            kernels=self.options["kernels"],
        )
        with suppress(Unreadable):
            return build()
        (folder / LAST).rename(folder / f"{LAST}.unreadable")
        return build()


def _message(training: Training, report: EpochReport, told: int) -> EpochEnded:
    """An epoch's message; told: the last epoch of which the attempt has told, or 0."""
    return EpochEnded(
        curve=tuple(entry["val/spearman"] for entry in training.history),
        history=tuple(training.history[told:]),
        metrics=None if report.score is None else report.score.defined(),
        final=report.last,
        pid=os.getpid(),
        kernels=training.kernels,
    )


class _TimeLimit:
    """Raises TrialTimeout in the main thread after so many seconds, even out of a hang in Python code."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        if self.seconds is None:
            return
        if self.seconds <= 0:
            raise TrialTimeout("the trial ran past its time limit")
        self.previous = signal.signal(signal.SIGALRM, _raise_timeout)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *_: object) -> None:
        if self.seconds is not None and self.seconds > 0:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self.previous)


def _raise_timeout(number: int, frame: FrameType | None) -> None:
    raise TrialTimeout("the trial ran past its time limit")
