"""nrtune's worker without Ray: the messages of tests come from the code that makes them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from nrtune.analysis.store.records import Proposal
from nrtune.orchestrator.execution.trainable import TrialTrainable
from nrtune.trainables.training.training_data import TrainingData


def worker_of(
    data: TrainingData, campaign: Path, proposal: Proposal, score_at: Collection[int] = (), **options: Any
) -> TrialTrainable:
    """A worker that has been given a trial; each `train()` returns what Ray Tune would be handed."""
    given = {"folder": str(campaign / "trials"), "score_at": score_at, "device": "cpu", "threads": 1,
             "time_limit": None, "plugins": "", "kernels": "auto", **options}  # fmt: skip

    class Worker(TrialTrainable):
        def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
            super().setup(config, data=data, options=given)

    return Worker({"proposal": proposal.to_json(), "micro_batches": 1})
