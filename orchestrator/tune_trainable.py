"""What runs on a worker: one actor, reused for trial after trial, an epoch a step."""

from __future__ import annotations

import json
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

REPORT = "report"
"""The entry of a result that is the recorder's alone: history and metrics, or failure and traceback."""

TUNE_NEEDS = frozenset({"trial_id", "date", "pid", "hostname", "node_ip"})


class TrialTrainable(tune.Trainable):
    """Steps a `trainables.training.Training`; whatever it raises becomes a result, so that the actor lives on.

    config: proposal (as JSON) and micro_batches. options, of all trials: folder (theirs), score_at, device (None: a GPU if
    there is one), threads, time_limit (seconds or None), plugins (folders).
    """

    def setup(self, config: dict[str, Any], data: Any = None, options: dict[str, Any] | None = None) -> None:
        """Take what all trials of the node share; the training itself is built in the first step."""
        self.data = data
        self.training: Any = None
        self.options = options or {}
        os.environ[PLUGIN_VARIABLE] = self.options["plugins"]
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turn to another trial."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch and return it, or the failure, as REPORT."""
        started = time.monotonic()
        try:
            with _TimeLimit(self.left):
                result = self._step()
        except Exception as error:
            self.training = None
            failure = classify(error)
            if failure.failure_class == CRASHED and "CUDA error" in failure.message:
                raise  # the process can't use the device any more: it must not be given another trial
            report = {"failure": failure._asdict(), "traceback": traceback.format_exc()}
            # Tune wants what the scheduler looks at in every result.
            return {"epoch": self.epoch, "val_spearman": math.nan, "done": True, REPORT: report}
        finally:
            if self.left is not None:
                self.left -= time.monotonic() - started
        return result

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

    def _step(self) -> dict[str, Any]:
        from trainables.config import TrialConfig
        from trainables.training import Training

        history: list[dict[str, float]] = []
        if self.training is None:
            import torch

            torch.set_num_threads(self.options["threads"])
            folder = Path(self.options["folder"]) / self.proposal["fingerprint"]
            if not (folder.parents[1] / MANIFEST).exists():
                raise UserError(
                    f"{folder.parents[1]} is not shared with this node: put --out on storage that all nodes see"
                )
            training = Training(
                TrialConfig.from_flat(self.proposal["config"]),
                self.data,
                folder=folder,
                device=self.options["device"],
                score_at=self.options["score_at"],
                micro_batches=self.micro_batches,
            )
            # After a resume the driver may have missed the last epochs before the interruption: it gets them all.
            history = training.history[:-1] if training.done else training.history[:]
            self.training = training
        report = self.training.run_epoch()
        self.epoch = report.epoch
        return {
            "epoch": report.epoch,
            "val_spearman": report.metrics["val/spearman"],
            "done": report.last,
            REPORT: {
                "history": [*history, report.metrics],
                "metrics": report.score.defined() if report.score is not None else None,
                "final": report.last,  # Ray Tune sets its own `done` where it stops a trial early
            },
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
