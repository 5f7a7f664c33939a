"""Progress on standard error: a live table on a terminal, a line an event elsewhere, and one a minute where there is none."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nrtune.analysis.store.records import FAILED, FINISHED, PRUNED, Proposal, TrialRecord
from nrtune.orchestrator.lifecycle.leaders import Leaders
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.plain_console import PlainConsole
from nrtune.orchestrator.lifecycle.sinks import Sink
from nrtune.orchestrator.lifecycle.terminal import redraws
from nrtune.orchestrator.lifecycle.time_left import CONFIRMING, TimeLeft, Underway, pace, row_of
from nrtune.orchestrator.lifecycle.trial import History, LiveTrial
from nrtune.trainables.core.outside_text import visible
from nrtune.trainables.core.secrets import redacted

ROOMY = 72
"""Characters from which on the table has a column for what runs, which stands below it else."""

RECENT = 6
"""Ended trials shown below the table."""

QUIET_SECONDS = 60.0
"""After so long without a line, one says what runs."""


class Progress(Sink):
    """Shows families, running trials, the best so far and how long is left; `wanted` is what each family shall have.

    Replicates count apart where CONFIRMING is among the wanted. quiet: seconds. time_budget: minutes, after which it ends anyway.
    """

    def __init__(
        self,
        wanted: Mapping[str, int],
        records: Iterable[TrialRecord],
        quiet: float = QUIET_SECONDS,
        time_budget: float | None = None,
    ) -> None:
        self.wanted, self._quiet = wanted, quiet
        self._limit = None if time_budget is None else time_budget * 60
        self.console = PlainConsole(stderr=True)
        self._running: dict[str, LiveTrial] = {}  # by fingerprint
        self.ended_count: dict[str, Counter[str]] = {family: Counter() for family in wanted}
        self.best: dict[str, float] = {}
        self.lines: list[Text] = []
        self.standing = ""
        self.leaders, self.time_left = Leaders(), TimeLeft(wanted)
        self._most, self._ended_here = 0, 0
        self._started = time.monotonic()
        self._live: Live | None = None
        self._said = self._paced = self._started
        self._over = threading.Event()
        for record in records:
            self._count(record)

    def __enter__(self) -> Progress:
        if redraws(sys.stderr):
            self._live = Live(self._view(), console=self.console, refresh_per_second=4, transient=False)
            self._live.__enter__()
        else:
            self._over.clear()
            self._speaker = threading.Thread(target=self._speak, name="nrtune-progress", daemon=True)
            self._speaker.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self._view())
            self._live.__exit__(None, None, None)
            self._live = None
        else:
            self._over.set()
            self._speaker.join()

    def _speak(self) -> None:
        while not self._over.wait(max(0.0, self._said + self._quiet - time.monotonic())):
            if time.monotonic() >= self._said + self._quiet:
                running = [_running_text(trial) for trial in tuple(self._running.values())]
                self.say(f"{self.pace()}; running: {', '.join(running) or 'nothing yet'}")

    def pace(self) -> str:
        """For how long it runs, how long is left, and how many trials end an hour."""
        elapsed = time.monotonic() - self._started
        rate = self._ended_here / elapsed * 3600 if self._ended_here and elapsed > 0 else None
        return pace(elapsed, self.seconds_left(), rate)

    def seconds_left(self) -> float | None:
        """About how long the trials to come will take; None as long as none has ended."""
        now = time.monotonic()
        running = [Underway(self._row(one.proposal), now - one.since) for one in tuple(self._running.values())]
        left = self.time_left.seconds(running, self._most)
        if left is not None and self._limit is not None:
            left = min(left, max(0.0, self._limit - (now - self._started)))
        return left

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._said = time.monotonic()
        self.console.print(redacted(text), soft_wrap=True)

    def compare_to(self, non_neural: Mapping[str, Mapping[str, float]]) -> None:
        """Show the best so far beside the best of these non-neural baselines, whose metrics these are by name."""
        self.leaders.take(non_neural)

    def show(self, text: str) -> None:
        """Have a line below the table say what is so, until it is told otherwise; "": nothing."""
        self.standing = visible(redacted(text))
        self._show()

    def started(self, trial: LiveTrial) -> None:
        """Show that it runs."""
        self._running[trial.proposal.fingerprint] = trial
        self._most = max(self._most, len(self._running))
        self._show()

    def epoch_ended(self, trial: LiveTrial, message: EpochEnded) -> None:
        """Show its epoch."""
        self._show()

    def suspended(self, trial: LiveTrial, following: str | None) -> None:
        """Say why it stopped, where it runs again."""
        self._running.pop(trial.proposal.fingerprint, None)
        if following is not None and trial.failure is not None:
            failure = trial.failure
            self.say(visible(f"{trial.proposal.name} {following} ({failure.failure_class}: {failure.message[:100]})"))
        self._show()

    def ended(self, record: TrialRecord, history: History) -> None:
        """Count and show a trial that ended."""
        self._running.pop(record.fingerprint, None)
        before = self.leaders.sentence()
        self._count(record)
        self._ended_here += 1
        done = sum(sum(counts.values()) for counts in self.ended_count.values())
        line = visible(f"[{done}/{sum(self.wanted.values())}] {describe(record)}")
        if record.failure_class or self._live is None:  # what failed stays to be read above the table
            self.say(line)
        else:
            self.lines = [*self.lines, Text(line)][-RECENT:]
        if self._live is None:
            if (leader := self.leaders.sentence()) != before:
                self.say(leader)
            if self._ended_here == 1 or time.monotonic() - self._paced >= self._quiet:
                self._paced = time.monotonic()
                self.say(f"{done} of {sum(self.wanted.values())} ended, {self.pace()}")
        self._show()

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(self._view())

    def _count(self, record: TrialRecord) -> None:
        row = self._row(record.proposal)
        if row not in self.ended_count:
            return
        self.ended_count[row][record.status] += 1
        self.time_left.add(record)
        if row != CONFIRMING:  # of a search with its seeds, its own trials are compared
            self.leaders.add(record)
        value = record.metrics.get("val/spearman")
        if value is not None:
            self.best[row] = max(value, self.best.get(row, -1.0))

    def _row(self, proposal: Proposal) -> str:
        return row_of(proposal, self.wanted)

    def _view(self) -> Group:
        done = sum(sum(counts.values()) for counts in self.ended_count.values())
        roomy = self.console.width >= ROOMY
        title = f"nrtune  {done} of {sum(self.wanted.values())} ended, {self.pace()}"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for heading in (
            "family",
            "finished",
            "pruned",
            "failed",
            *(["best val ↑", "running: epoch, val"] if roomy else ["val ↑"]),
        ):
            text = heading in ("family", "running: epoch, val")
            table.add_column(heading, justify="left" if text else "right", no_wrap=not text)
        for family, wanted in self.wanted.items():
            counts = self.ended_count[family]
            running = [_running_text(trial) for trial in self._running.values() if self._row(trial.proposal) == family]
            best = f"{self.best[family]:.3f}" if family in self.best else "–"
            table.add_row(
                family,
                f"{counts[FINISHED]}/{wanted}",
                str(counts[PRUNED]),
                str(counts[FAILED]),
                best,
                *(["\n".join(running) or "–"] if roomy else []),
            )
        standing = [Text(self.standing, overflow="ellipsis", no_wrap=True)] if self.standing else []
        leader = [Text(visible(said))] if (said := self.leaders.sentence()) else []
        below = [] if roomy else [Text(f"running {_running_text(trial)}") for trial in self._running.values()]
        return Group(table, *below, *leader, *standing, *self.lines)


def _running_text(trial: LiveTrial) -> str:
    value = f" {trial.history[-1]['val/spearman']:.3f}" if trial.history else ""
    return f"{trial.proposal.name}: {trial.epoch}/{trial.proposal.config['epochs']}{value}"


def describe(record: TrialRecord) -> str:
    """One line on an ended trial, which few names make wider than 80 columns; a failure's message may."""
    what = f"{record.name} {record.status}"
    if record.failure_class:
        return f"{what} ({record.failure_class}: {record.failure})"
    names = {"val/spearman": "val", "test/spearman": "test", "cagi5/challenge/spearman/all/mean": "CAGI5"}
    values = [f"{label} {record.metrics[name]:.3f}" for name, label in names.items() if name in record.metrics]
    return f"{what}, {record.epochs_trained} ep., {record.seconds:.0f} s: {' '.join(values)}"
