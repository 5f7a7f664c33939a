"""What runs on a worker: one actor, reused for trial after trial, an epoch a step."""

from __future__ import annotations

import math
import os
import signal
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from ray import tune

from analysis.books import MANIFEST
from orchestrator.faults import CRASHED, TrialTimeout, classify
from trainables.errors import UserError
from trainables.registry import PLUGIN_VARIABLE


class TrialTrainable(tune.Trainable):
    """Steps a `trainables.training.Training`; whatever it raises becomes a result, so that the actor lives on.

    config: trial (flat parameters), folder, score_at, device (None: a GPU if there is one), threads, micro_batches,
    time_limit (seconds or None), plugins (folders).
    """

    def setup(self, config: dict[str, Any], data: Any = None) -> None:
        """Take the data, shared by all trials of the node; the training itself is built in the first step."""
        self.data = data
        self.training: Any = None
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turn to another trial."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch and return it, or the failure."""
        started = time.monotonic()
        try:
            with _TimeLimit(self.left):
                result = self._step()
        except Exception as error:
            self.training = None
            failure = classify(error)
            if failure.failure_class == CRASHED and "CUDA error" in failure.message:
                raise  # the process can't use the device any more: it must not be given another trial
            # Tune wants the scheduler's metric in every result.
            return {
                "failure_class": failure.failure_class,
                "failure": failure.message,
                "restartable": failure.restartable,
                "traceback": traceback.format_exc(),
                "epoch": self.epoch,
                "val_spearman": math.nan,
                "done": True,
            }
        finally:
            if self.left is not None:
                self.left -= time.monotonic() - started
        return result

    def get_auto_filled_metrics(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Ray Tune's own, less the configuration: the driver has it, and would flatten it once a report."""
        metrics = super().get_auto_filled_metrics(*arguments, **options)
        metrics.pop("config", None)
        return metrics

    def cleanup(self) -> None:
        """Let go of the model and the data."""
        self.training = None
        self.data = None

    def _begin(self, config: dict[str, Any]) -> None:
        self.trial = config
        self.training = None
        self.epoch = 0
        self.left: float | None = config["time_limit"]
        os.environ[PLUGIN_VARIABLE] = config["plugins"]

    def _step(self) -> dict[str, Any]:
        from trainables.config import TrialConfig
        from trainables.training import Training

        history: list[dict[str, float]] = []
        if self.training is None:
            import torch

            torch.set_num_threads(self.trial["threads"])
            folder = Path(self.trial["folder"])
            if not (folder.parents[1] / MANIFEST).exists():
                raise UserError(
                    f"{folder.parents[1]} is not shared with this node: put --out on storage that all nodes see"
                )
            config = TrialConfig.from_flat(self.trial["trial"])
            options = {name: self.trial[name] for name in ("device", "score_at", "micro_batches")}
            training = Training(config, self.data, folder=folder, **options)
            # After a resume the driver may have missed the last epochs before the interruption: it gets them all.
            history = training.history[:-1] if training.done else training.history[:]
            self.training = training
        report = self.training.run_epoch()
        self.epoch = report.epoch
        return {
            "epoch": report.epoch,
            "val_spearman": report.metrics["val/spearman"],
            "history": [*history, report.metrics],
            "metrics": report.score.defined() if report.score is not None else None,
            "final": report.last,
            "pid": os.getpid(),
            "done": report.last,
        }


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
