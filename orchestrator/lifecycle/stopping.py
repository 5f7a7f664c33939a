"""Early stopping: which trials fall behind, as a function of what the campaign's records say.

Each trial arrives at rungs, epochs after which it may be stopped. There it is compared to the trials that arrived before
it, failed ones aside. Arrivals are a record of the campaign, DIR/stopping.jsonl: a line is on disk before anybody acts on
what it says, and a trial that arrives again after an interruption, with the numbers that it had, is told what it was told.
So a campaign that is interrupted decides as an unharmed one, and every decision can be made again from the lines above it.

Ray's schedulers of the same names decide alike while nothing is interrupted, but keep what they saw in memory. Its
synchronous HyperBand, besides, pauses trials until all of their bracket have come as far, and pausing takes checkpoints by
Tune, which there are none of.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nrtune.orchestrator.lifecycle.rules import LearningCurve, Rule
from nrtune.trainables.core.files import append_line, cut_torn_line, write_atomically

STOPPING = "stopping.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrival:
    """A trial at a rung: a line of stopping.jsonl.

    shown: what it was judged by. left: what those after it are compared to. others: how many of its bracket counted;
    they are the lines above it that were not taken back since. threshold: None where it could not be stopped, as there
    were too few others or it is protected. The trial was stopped where `shown` is below the threshold. epochs: of its whole
    training where these are fewer than the campaign's most; it is compared with such alone, as their schedules are elsewhere.
    """

    fingerprint: str
    epoch: int
    bracket: int
    shown: float
    left: float
    others: int
    threshold: float | None
    epochs: int | None = None

    @property
    def stopped(self) -> bool:
        """Whether the trial was stopped here."""
        return self.threshold is not None and self.shown < self.threshold


class Arrivals:
    """All arrivals of a campaign that count, and their file; `open_arrivals` makes it."""

    def __init__(self, rule: Rule, path: Path) -> None:
        self.rule, self.path = rule, path
        self._held: list[Mapping[str, Any]] | None = None  # lines that are written together, later
        self._of: dict[str, dict[int, Arrival]] = defaultdict(dict)  # by fingerprint and epoch
        # By epoch, bracket and epochs in all; fingerprint.
        self._at: dict[tuple[int, int, int | None], dict[str, Arrival]] = defaultdict(dict)

    def arrive(
        self, fingerprint: str, curve: LearningCurve, *, epochs: int | None = None, protected: bool = False
    ) -> Arrival | None:
        """Note that a trial has trained the epochs of its curve; its arrival where the last of them is a rung of it.

        epochs: of its whole training; None for the campaign's most.

        Rungs that it passed unseen are noted and judge nobody. Where the trial began anew, as its checkpoint was lost,
        its arrivals at later rungs are taken back.
        """
        self.take_back(fingerprint, after=len(curve))
        bracket = self.rule.bracket(fingerprint)
        fewer = None if epochs == self.rule.epochs else epochs
        for rung in self.rule.rungs[bracket:]:
            if rung <= len(curve) and (fewer is None or rung < fewer):
                self._arrive(fingerprint, bracket, fewer, curve[:rung], judged=rung == len(curve) and not protected)
        return self._of[fingerprint].get(len(curve))

    def stopped(self, fingerprint: str) -> bool:
        """Whether a trial was stopped at one of its rungs."""
        return any(arrival.stopped for arrival in self._of[fingerprint].values())

    def take_back(self, fingerprint: str, after: int = 0) -> None:
        """Let a trial's arrivals after an epoch count no more: it failed, or begins anew."""
        if any(epoch > after for epoch in self._of[fingerprint]):
            self._write({"fingerprint": fingerprint, "taken_back_after": after})
            self._take_back(fingerprint, after)

    def _arrive(
        self, fingerprint: str, bracket: int, epochs: int | None, curve: LearningCurve, *, judged: bool
    ) -> None:
        epoch, shown, left = len(curve), self.rule.shows(curve), self.rule.leaves(curve)
        before = self._of[fingerprint].get(epoch)
        if before is not None and _same((before.shown, before.left), (shown, left)):
            return
        others = [
            other.left
            for name, other in self._at[epoch, bracket, epochs].items()
            if name != fingerprint and math.isfinite(other.left)
        ]
        arrival = Arrival(
            fingerprint=fingerprint,
            epoch=epoch,
            bracket=bracket,
            shown=shown,
            left=left,
            others=len(others),
            threshold=self.rule.threshold(others) if judged else None,
            epochs=epochs,
        )
        line = dataclasses.asdict(arrival)
        self._write(line if epochs is not None else {name: value for name, value in line.items() if name != "epochs"})
        self._note(arrival)

    def _note(self, arrival: Arrival) -> None:
        self._of[arrival.fingerprint][arrival.epoch] = arrival
        self._at[arrival.epoch, arrival.bracket, arrival.epochs][arrival.fingerprint] = arrival

    def _take_back(self, fingerprint: str, after: int) -> None:
        for epoch in [epoch for epoch in self._of[fingerprint] if epoch > after]:
            arrival = self._of[fingerprint].pop(epoch)
            del self._at[epoch, arrival.bracket, arrival.epochs][fingerprint]

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._held is not None:
            self._held.append(line)
        else:
            append_line(self.path, json.dumps(line))

    def read(self) -> bool:
        """Take up the file; False where it is missing, or is of another rule."""
        cut_torn_line(self.path)
        try:
            head, *lines = map(json.loads, self.path.read_text().splitlines())
            if head != _head(self.rule):
                return False
            for line in lines:
                if "taken_back_after" in line:
                    self._take_back(line["fingerprint"], line["taken_back_after"])
                else:
                    self._note(Arrival(**line))
        except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):  # none, an empty or a damaged one
            return False
        return True

    def make(self, ended: Iterable[tuple[str, LearningCurve]], epochs: Mapping[str, int]) -> None:
        """Make the file anew, whole or not at all, of the curves of what has ended; one that is there is put aside."""
        self._held = []
        for fingerprint, curve in ended:
            self.arrive(fingerprint, curve, epochs=epochs.get(fingerprint), protected=True)
        text = "".join(json.dumps(line) + "\n" for line in (_head(self.rule), *self._held))
        self._held = None
        if self.path.exists():
            self.path.rename(f"{self.path}.old")
        write_atomically(self.path, lambda path: path.write_text(text), parents=False)


def open_arrivals(
    rule: Rule,
    folder: Path,
    ended: Iterable[tuple[str, LearningCurve]],
    failed: Iterable[str],
    epochs: Mapping[str, int] = MappingProxyType({}),
) -> Arrivals:
    """Open a campaign's arrivals, to write to.

    ended: fingerprint and curve of each trial that ended without failing; they are read where there are no arrivals of
    this rule, as in the campaign of an older version. failed: those that count nowhere, whatever the file says. epochs: of whole
    trainings, by fingerprint, where they are not the campaign's most.
    """
    arrivals = Arrivals(rule, folder / STOPPING)
    if not arrivals.read():
        arrivals = Arrivals(rule, folder / STOPPING)
        arrivals.make(ended, epochs)
    for fingerprint in failed:
        arrivals.take_back(fingerprint)
    return arrivals


def _head(rule: Rule) -> dict[str, Any]:
    """What a file of arrivals is of; as JSON gives it back."""
    return {**rule.stopping._asdict(), "rungs": list(rule.rungs)}


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether numbers are bitwise alike; NaN is NaN."""
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True))
