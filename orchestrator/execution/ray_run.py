"""The one Ray Tune run of a campaign: a searcher over all families, early stopping, actors that are reused."""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

# Set before Ray is imported: no reports of usage, no loggers beside ours, trials stay in the driver's folder, and
# Ctrl-C comes to us.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
os.environ["TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S"] = "0"
os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "10000"  # the searcher says how many; else workers start one by one
os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # its banner ignores verbose=0

import ray
from ray import tune
from ray.job_config import JobConfig
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from nrtune.analysis.store.records import TRIALS, TrialRecord
from nrtune.orchestrator.execution.cluster import address_of
from nrtune.orchestrator.execution.resources import Resources, find_resources
from nrtune.orchestrator.execution.schedulers import EarlyStopper
from nrtune.orchestrator.execution.trainable import TrialTrainable
from nrtune.orchestrator.lifecycle.recorder import Recorder
from nrtune.orchestrator.lifecycle.retries import Attempt
from nrtune.orchestrator.search.allocation import Allocation
from nrtune.orchestrator.search.family_study import Proposal, Proposer
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.retention import RAY_FOLDER
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.registry import plugin_folders

if TYPE_CHECKING:
    from nrtune.orchestrator.campaign.campaign import CampaignRun

NODES_SECONDS = 5.0
"""How often the cluster is asked for its nodes."""


class FamilySearcher(Searcher):
    """Hands Ray Tune the next proposal of the family whose turn it is.

    ended: by fingerprint, what has ended of the trials that count as this run's. resources: what a trial gets, and what
    one gets that runs alone. most: how many trials may be proposed at a time; it is asked again as nodes come and go.
    Trials that go on after a failure come before new ones.
    """

    def __init__(
        self,
        studies: Sequence[Proposer],
        ended: Mapping[str, TrialRecord],
        allocation: Allocation,
        resources: Resources,
        most: Callable[[], int],
        recorder: Recorder,
    ) -> None:
        super().__init__()
        self._ask_most, self._most, self._asked = most, 0, -math.inf
        self.studies, self.allocation = list(studies), allocation
        self.resources, self.recorder = resources, recorder
        self.live: set[str] = set()
        # Those that run alone: until one starts nothing new does, or others would take every part that becomes free.
        self.alone: set[str] = set()
        self.started = Counter(record.family for record in ended.values())
        self.proposed = set(ended)
        self.reserved = {fingerprint for study in studies for fingerprint in study.interrupted()}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles its parts for a restore of its own, which a restart over the books does without."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's configuration; FINISHED, or None while a running trial may yet come back.

        Ray Tune asks for minutes, without another step, where all wait to run again: it is left from here as well.
        """
        self.recorder.interrupts.leave_if_asked()
        if len(self.live) >= self._most_now() or self.alone - self.recorder.running.keys():
            return None
        proposal = self.recorder.retries.pop()
        # A trial that waits to run again keeps its place: what comes after it must not know less than if nothing had failed.
        if proposal is None and len(self.live) + len(self.recorder.retries) < self._most_now():
            proposal = self._new()
        if proposal is not None:
            self.live.add(trial_id)
            attempt = self.recorder.retries.attempt(proposal.fingerprint)
            if attempt.alone and self.resources.alone != self.resources.each:
                self.alone.add(trial_id)
            return self._config(proposal, attempt)
        return None if self.live or self.recorder.running or self.recorder.retries else Searcher.FINISHED

    def _most_now(self) -> int:
        if time.monotonic() - self._asked > NODES_SECONDS:
            self._most, self._asked = self._ask_most(), time.monotonic()
        return self._most

    def _new(self) -> Proposal | None:
        while (study := self.allocation.choose(self.studies, self.started)) is not None:
            # What was interrupted goes on whatever became of others.
            why, proposal = None if study.interrupted() else self.recorder.outcomes.hopeless(study.name), None
            if why is None:
                proposal = study.propose(self.proposed, self.reserved)
                why = f"{study.name} has no configuration left to try"
            if proposal is None:
                self.recorder.close_family(study.name, why)
                self.studies.remove(study)
                continue
            self.started[study.name] += 1
            self.proposed.add(proposal.fingerprint)
            return proposal
        return None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The trial may be followed by others; the recorder tells the studies, after the ledger."""
        self.live.discard(trial_id)
        self.alone.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the studies and the ledger are the searcher's state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a restart opens the same books."""

    def _config(self, proposal: Proposal, attempt: Attempt) -> dict[str, Any]:
        return {
            "proposal": proposal.to_json(),
            "fingerprint": proposal.fingerprint,
            "protected": proposal.published is not None,
            "resources": self.resources.alone if attempt.alone else self.resources.each,
            "micro_batches": attempt.micro_batches,
        }


def run_trials(
    campaign: CampaignRun, ledger: Ledger, recorder: Recorder, studies: Sequence[Proposer], allocation: Allocation
) -> None:
    """Run trials until all that the allocation has to give have ended, on the Ray that runs.

    Raises KeyboardInterrupt where the recorder's `interrupts` were asked to leave.
    """
    settings, arrivals = campaign.settings, recorder.arrivals
    scheduler = FIFOScheduler() if arrivals is None else EarlyStopper(arrivals)
    resources = find_resources(campaign, recorder.progress.say)
    recorder.retries.shared = resources.each != resources.alone
    options = {
        # Ray leaves GPUs visible to an actor that was given none.
        "device": None if resources.each["gpu"] else "cpu",
        "score_at": () if arrivals is None else arrivals.rule.rungs,
        "threads": int(resources.each["cpu"]),
        "plugins": os.pathsep.join(str(folder.resolve()) for folder in plugin_folders()),
        "folder": str(campaign.folder / TRIALS),
        "time_limit": None if settings.trial_time_limit is None else settings.trial_time_limit * 60,
    }
    most = partial(resources.proposed, settings)
    searcher = FamilySearcher(studies, campaign.ended(ledger), allocation, resources, most, recorder)
    trainable = tune.with_resources(
        tune.with_parameters(TrialTrainable, data=campaign.data, options=options),
        lambda config: tune.PlacementGroupFactory([{k.upper(): v for k, v in config["resources"].items()}]),
    )
    _run(searcher, scheduler, recorder, trainable, campaign)


def _run(searcher: FamilySearcher, scheduler: Any, recorder: Recorder, trainable: Any, campaign: CampaignRun) -> None:
    settings = campaign.settings
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # the searcher says when there are enough
            time_budget_s=None if settings.time_budget is None else settings.time_budget * 60,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            storage_path=str(campaign.folder),
            callbacks=[recorder],
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own deprecations are not the user's business
        tuner.fit()


class _OwnPath(JobConfig):
    """Workers import what is installed, and nothing of the folder in which the user called the driver.

    Ray puts that folder and the script's in front of their path: a file analysis.py of the user's would stand for ours.
    """

    def _serialize(self) -> bytes:
        self._py_driver_sys_path.clear()
        return bytes(super()._serialize())


@contextmanager
def ray_there(address: str | None) -> Iterator[None]:
    """Ray while it is needed; in a notebook or a test, one that runs already is used and left running.

    Its processes are forked, and killed when the thread ends that did that: this one, which meanwhile computes nothing
    (a fork waits for ever for threads of a matrix product). Raises UserError where no cluster answers.
    """
    ours = not ray.is_initialized()
    if ours:
        start_ray(address)
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def start_ray(address: str | None) -> None:
    """Join the cluster at an address, or that of a Ray job in which this runs; else start a Ray on this machine.

    Ray itself would join whatever cluster runs here. Raises UserError where none answers.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it logs a traceback for every worker that dies
    address = address_of(address)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            job_config=_OwnPath(),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"--address {address}: no Ray cluster answers ({one_line(error)})") from error
