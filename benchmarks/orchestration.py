"""What a trial costs beside its training: nrtune with all its books, bare Ray Tune, Ray's MLflow callback, bare Optuna.

    python benchmarks/orchestration.py [--trials 100] [--most 1000]

No trial trains anything. Trials of one report, and of twenty with twelve metrics each; seconds a trial and results a
second, side by side in one run. Then the driver's memory after every hundred trials up to `--most`.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import no_op_trials
import optuna
import psutil
import ray
from no_op_trials import BareTrial, NoOpTrial
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback

from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.execution import tuner
from nrtune.orchestrator.execution.ray_session import VARIABLES, start_ray
from nrtune.orchestrator.lifecycle.sinks import RecordKeeper
from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.data.simulate import HDF5_NAME, simulate, write_simulated

REPORTS = 20
FEW = 8
"""Trials where each takes seconds: with fresh actors, and with Ray's MLflow callback."""


class Measured(NamedTuple):
    """What was run, how many trials of how many reports, in how many seconds."""

    name: str
    trials: int
    reports: int
    seconds: float

    def __str__(self) -> str:
        rate = self.trials * self.reports / self.seconds
        return f"{self.name:<44} {self.trials:>6} {self.reports:>8} {self.seconds / self.trials:>9.3f} {rate:>10.1f}"


def nrtune(folder: Path, data: Path, trials: int, reports: int) -> Measured:
    """A search of nrtune's, after one trial that is not counted: the reference lines are scored then."""
    settings = Settings(
        families=("rank_stability",), trials=1, epochs=reports, grace_epochs=reports, data=data / HDF5_NAME,
        cagi5=data / "cagi5", out=folder, keep=("all",),
    )  # fmt: skip
    run_campaign(prepare(settings))
    search = prepare(settings.model_copy(update={"trials": trials + 1}))
    started = time.perf_counter()
    outcome = run_campaign(search)
    assert outcome.counts == {"finished": trials + 1}
    return Measured("nrtune, ledger + Optuna + MLflow", trials, reports, time.perf_counter() - started)


def bare_tune(name: str, folder: Path, trials: int, reports: int, *, reuse: bool, callbacks: Any = None) -> Measured:
    """Ray Tune, its own loggers off."""
    bare = tune.Tuner(
        BareTrial,
        param_space={"reports": reports, "x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=reuse),
        run_config=tune.RunConfig(
            name="bare",
            storage_path=str(folder),
            verbose=0,
            callbacks=callbacks,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    started = time.perf_counter()
    bare.fit()
    return Measured(name, trials, reports, time.perf_counter() - started)


def bare_optuna(folder: Path, trials: int, reports: int) -> Measured:
    """Optuna in a loop, with a journal."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder / "journal")))
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        for step in range(reports):
            trial.report(0.1, step)
        return trial.suggest_float("x", 0, 1)

    started = time.perf_counter()
    study.optimize(objective, n_trials=trials)
    return Measured("Optuna alone, journal", trials, reports, time.perf_counter() - started)


def memory(folder: Path, data: Path, most: int) -> list[tuple[int, float]]:
    """The driver's resident memory in MB after every hundred trials of one search."""
    found: list[tuple[int, float]] = []
    ended = RecordKeeper.ended

    def count(self: RecordKeeper, *arguments: Any) -> None:
        ended(self, *arguments)
        if len(self.ledger.records) % 100 == 0:
            found.append((len(self.ledger.records), psutil.Process().memory_info().rss / 1e6))

    RecordKeeper.ended = count  # type: ignore[method-assign]
    try:
        nrtune(folder, data, most, 1)
    finally:
        RecordKeeper.ended = ended  # type: ignore[method-assign]
    return found


def main() -> None:
    """Run and print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--most", type=int, default=1000, help="trials of the measurement of memory; 0: none")
    chosen, write = parser.parse_args(), sys.stdout.write
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ray.cloudpickle.register_pickle_by_value(no_op_trials)  # workers import what is installed alone
    tuner.TrialTrainable = NoOpTrial  # type: ignore[misc]
    folder = Path(tempfile.mkdtemp(prefix="nrtune-orchestration-"))
    try:
        write_simulated(simulate(400), folder / "data")
        os.environ.update(VARIABLES)
        start_ray(None)
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        write(f"{'':<44} {'trials':>6} {'reports':>8} {'s/trial':>9} {'results/s':>10}\n")
        runs: list[Callable[[int, Path], Measured]] = [
            lambda reports, at: nrtune(at, folder / "data", chosen.trials, reports),
            lambda reports, at: bare_tune("Ray Tune, actors reused, no tracking", at, chosen.trials, reports, reuse=True),
            lambda reports, at: bare_tune("Ray Tune, fresh actors, no tracking", at, FEW, reports, reuse=False),
            lambda reports, at: bare_tune("Ray Tune, actors reused, its MLflow callback", at, FEW, reports, reuse=True,
                callbacks=[MLflowLoggerCallback(tracking_uri=f"sqlite:///{at}/mlflow.db", experiment_name="bare")]),
            lambda reports, at: bare_optuna(at, chosen.trials, reports),
        ]  # fmt: skip
        for reports in (1, REPORTS):
            measured = []
            for number, run in enumerate(runs):
                at = folder / f"{reports}-{number}"
                at.mkdir()
                measured.append(run(reports, at / "campaign" if number == 0 else at))
                write(f"{measured[-1]}\n")
            rate = [one.trials * one.reports / one.seconds for one in measured]
            write(f"nrtune records {rate[0] / rate[3]:.1f} times as many results a second as Ray's MLflow callback\n\n")
        if chosen.most:
            found = memory(folder / "m", folder / "data", chosen.most)
            write("driver's memory: " + ", ".join(f"{n} trials {mb:.0f} MB" for n, mb in found) + "\n")
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
