"""Ray Tune asks after each message whether a trial goes on."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from nrtune.orchestrator.lifecycle.messages import MESSAGE, EpochEnded
from nrtune.orchestrator.lifecycle.stopping import Arrivals


class EarlyStopper(FIFOScheduler):
    """First in, first out, and stopped where the campaign's arrivals say so.

    Trials whose configuration says `protected` (the study's own values, to which all else is compared) arrive and are
    never stopped. Replicates, which are not `compared`, do not arrive. Ray Tune does not ask about a trial that says that
    it is done.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        super().__init__()
        self.arrivals = arrivals

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles its parts for a restore of its own, which a restart over the records does without."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """STOP or CONTINUE."""
        if not trial.config["compared"]:
            return str(TrialScheduler.CONTINUE)
        message = result[MESSAGE]
        assert isinstance(message, EpochEnded)
        of = trial.config
        arrival = self.arrivals.arrive(of["fingerprint"], message.curve, epochs=of["epochs"], protected=of["protected"])
        return str(TrialScheduler.STOP if arrival is not None and arrival.stopped else TrialScheduler.CONTINUE)
