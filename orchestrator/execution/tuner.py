"""The one Ray Tune run of a campaign: a searcher over all families, early stopping, actors that are reused."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler

from nrtune.analysis.store.records import TRIALS
from nrtune.orchestrator.execution.callback import TuneCallback
from nrtune.orchestrator.execution.job import Job
from nrtune.orchestrator.execution.resources import Resources
from nrtune.orchestrator.execution.schedulers import EarlyStopper
from nrtune.orchestrator.execution.searcher import FamilySearcher, Parts
from nrtune.orchestrator.execution.trainable import TrialTrainable
from nrtune.orchestrator.execution.worker_errors import WorkerErrors, kept_in_memory
from nrtune.orchestrator.state.locations import RAY_FOLDER
from nrtune.trainables.core.registry import plugin_folders


def run_trials(job: Job, parts: Parts, resources: Resources, seconds: float | None) -> Mapping[str, str]:
    """Run trials until all that the allocation has to give have ended, or for so many seconds, on the Ray that runs.

    resources: of each trial. Returned is, by family, why one is asked no more. Raises KeyboardInterrupt where the guard was
    asked to leave, and EnvironmentBroken.
    """
    settings, live = job.settings, parts.live
    errors: WorkerErrors = {}
    searcher = FamilySearcher(parts, resources, partial(resources.proposed, settings))
    tuner = tune.Tuner(
        _trainable(job, resources, () if live.stopping is None else live.stopping.rule.rungs),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=FIFOScheduler() if live.stopping is None else EarlyStopper(live.stopping),
            num_samples=-1,  # the searcher says when there are enough
            time_budget_s=seconds,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            storage_path=str(job.folder),
            callbacks=[TuneCallback(live, parts.guard, parts.environment, errors, _limit(job))],
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    with warnings.catch_warnings(), kept_in_memory(errors):
        warnings.simplefilter("ignore")  # Ray's own deprecations are not the user's business
        tuner.fit()
    return searcher.closed


def _trainable(job: Job, resources: Resources, score_at: Sequence[int]) -> Any:
    options = {
        # Ray leaves GPUs visible to an actor that was given none.
        "device": None if resources.each["gpu"] else "cpu",
        "score_at": score_at,
        "kernels": job.settings.kernels,
        "threads": int(resources.each["cpu"]),
        "plugins": os.pathsep.join(str(folder.resolve()) for folder in plugin_folders()),
        "folder": str(job.folder / TRIALS),
        "time_limit": _limit(job),
    }
    return tune.with_resources(
        tune.with_parameters(TrialTrainable, data=job.data, options=options),
        lambda config: tune.PlacementGroupFactory([{k.upper(): v for k, v in config["resources"].items()}]),
    )


def _limit(job: Job) -> float | None:
    """Seconds that an attempt may take."""
    limit = job.settings.trial_time_limit
    return None if limit is None else limit * 60
