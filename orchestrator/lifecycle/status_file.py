"""status.json: what a campaign is doing now, for whoever looks at its folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from nrtune.analysis.store.records import TrialRecord
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.sinks import Sink
from nrtune.orchestrator.lifecycle.trial import History, LiveTrial
from nrtune.orchestrator.state.ledger import Ledger
from nrtune.orchestrator.state.manifest import now

STATUS_SECONDS = 2.0
"""status.json is written at most this often."""


class StatusFile(Sink):
    """Keeps status.json; command: search, study or replicate. phase: of the command, "" where it has but one.

    wanted: how many trials each family shall have, and the confirmation. left: tells how many seconds are left.
    """

    def __init__(
        self, ledger: Ledger, command: str, wanted: Mapping[str, int], left: Callable[[], float | None]
    ) -> None:
        self.ledger, self.command, self.wanted, self.left = ledger, command, dict(wanted), left
        self.started_at = now()
        self.phase = ""
        self._running: dict[str, LiveTrial] = {}  # by fingerprint
        self._written = 0.0

    def started(self, trial: LiveTrial) -> None:
        """It runs."""
        self._running[trial.proposal.fingerprint] = trial
        self._write_if_due()

    def epoch_ended(self, trial: LiveTrial, message: EpochEnded) -> None:
        """It is an epoch further."""
        self._write_if_due()

    def suspended(self, trial: LiveTrial, following: str | None) -> None:
        """It runs no more."""
        self._running.pop(trial.proposal.fingerprint, None)
        self._write_if_due()

    def ended(self, record: TrialRecord, history: History) -> None:
        """It runs no more."""
        self._running.pop(record.fingerprint, None)
        self._write_if_due()

    def write(self, state: str) -> None:
        """Write the file: state running, finished or interrupted."""
        running = [
            {
                "name": trial.proposal.name,
                "family": trial.proposal.family,
                "fingerprint": trial.proposal.fingerprint,
                "epoch": trial.epoch,
                "epochs": trial.proposal.config["epochs"],
                "val_spearman": trial.history[-1]["val/spearman"] if trial.history else None,
                "pid": trial.pid,
            }
            for trial in self._running.values()
            if trial.proposal.fingerprint
            not in self.ledger.everything()  # a full disk: what follows a record was not told
        ]
        self._written = time.monotonic()
        with suppress(OSError):  # it only shows what goes on; where the disk is full, the records say so
            self.ledger.write_status(
                state,
                self.command,
                running,
                self.phase,
                {"started": self.started_at, "wanted": self.wanted, "left": self.left()},
            )

    def _write_if_due(self) -> None:
        if time.monotonic() - self._written > STATUS_SECONDS:
            self.write("running")
