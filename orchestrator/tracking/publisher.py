"""Writes to a tracker from a thread of its own: it only shows what the records hold, so no trial waits for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from nrtune.trainables.core.errors import UserError, one_line

AWAY_SECONDS = 30.0
"""A tracker is not called for so long after it could not be opened."""

IN_A_ROW = 3
"""So many faults, each with another run and nothing written between them, are the tracker's and not the runs'."""

SWITCH_SECONDS = 0.0002
"""How long the thread may keep Python's lock from the search, which wakes for a millisecond at a time: at Python's own
5 ms it waits for the lock longer than it works."""

SILENT_SECONDS = 3.0
"""When a user who waits for a write is told so."""

Write = Callable[[], object]


class Published(Protocol):
    """What a publisher writes of: a tracker that can be opened again, and what it lacks of the records."""

    def reopen(self) -> None:
        """Open the tracker again. Whatever is raised means that it can't be reached now."""

    def missing(self) -> Iterable[tuple[Write, str]]:
        """Writes of what the tracker lacks, each with the name of the run that it is of; "" for the campaign's own."""


class Publisher:
    """Carries out writes one after the other, in the order in which they were put.

    Where one fails, the tracker is opened again and the write repeated. If it can't be opened, it is left alone for a while, and
    what is put meanwhile is dropped; if the write fails again, its run is left alone and all others are written. What was
    missed is written, from the records, once the tracker answers, and tried once more at the end. say: told a sentence once
    when something goes or comes; show: told what is so until it is told something else, "" for nothing.
    """

    def __init__(
        self,
        of: Published,
        say: Callable[[str], None],
        show: Callable[[str], None],
        tracker: str = "MLflow",
        meanwhile: str = "the search goes on",
    ) -> None:
        self._of, self._say, self._show, self._tracker = of, say, show, tracker
        self._goes_on = f"; {meanwhile}" if meanwhile else ""
        self.faults: dict[str, str] = {}  # by run, why it can't be written
        self.away = ""  # why the tracker can't be
        self._away_until = 0.0
        self._behind = True
        self._in_a_row = 0
        self._given_up = False
        self._written = 0
        self._queue: SimpleQueue[tuple[Write, str] | None] = SimpleQueue()
        # A daemon: a second Ctrl-C ends the process even where a server takes minutes to answer.
        self._switch_before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread = Thread(target=self._work, name="nrtune-tracker", daemon=True)
        self._thread.start()

    def put(self, write: Write, of: str = "") -> None:
        """Have something written of a run, soon; "": of the campaign's own."""
        self._queue.put((write, of))

    def close(self, last: Write, patience: float) -> None:
        """Wait until all is written, then what was missed, and one thing at the very end.

        patience: seconds that one write may take before the rest is given up.
        """
        self._last = last
        self._queue.put(None)
        self._wait(patience)
        sys.setswitchinterval(self._switch_before)
        self._show("")

    def _wait(self, patience: float) -> None:
        written, since, told = self._written, time.monotonic(), False
        while self._thread.is_alive() and time.monotonic() - since < patience:
            self._thread.join(min(patience, SILENT_SECONDS))
            if self._written != written:
                written, since = self._written, time.monotonic()
            elif self._thread.is_alive() and not told:
                told = True
                self._say(f"waiting for {self._tracker}; Ctrl-C leaves at once")
        if self._thread.is_alive():
            self._given_up = True
            self.away = self.away or "it takes too long"
            self._say(f"{self._tracker} takes too long")

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            write, of = item
            if of not in self.faults:
                self._write(write, of)
            self._keep_up()
        self._away_until = 0.0
        self._behind = True
        self._keep_up()
        self._write(self._last, "")

    def _keep_up(self) -> None:
        """Write what was missed, each run for itself."""
        if not self._behind or self._left_alone():
            return
        try:
            for write, of in self._of.missing():
                self._write(write, of)
                if self._left_alone():
                    return
        except Exception as error:
            self._leave_alone(error)
            return
        self._behind = bool(self.away)

    def _left_alone(self) -> bool:
        return self._given_up or time.monotonic() < self._away_until

    def _write(self, write: Write, of: str) -> None:
        if self._left_alone():
            return
        try:
            self._carry_out(write, of)
        finally:
            self._written += 1

    def _carry_out(self, write: Write, of: str) -> None:
        try:
            write()
        except Exception:  # MLflow, SQLAlchemy, HTTP and file systems raise many kinds
            try:
                self._of.reopen()
            except Exception as error:
                self._leave_alone(error)
                return
            self._behind = True  # what was deleted there may be more than this run
            try:
                write()
            except Exception as error:
                self._note_fault(of, error)
                return
        self._in_a_row = 0
        cleared = self.faults.pop(of, None) is not None
        if self.away:
            self.away = ""
            self._say(f"{self._tracker} can be written again")
            self._show(self._lacking())
        elif cleared:
            self._show(self._lacking())

    def _note_fault(self, of: str, error: Exception) -> None:
        is_new = of not in self.faults
        self._in_a_row += is_new
        if self._in_a_row >= IN_A_ROW:
            self._leave_alone(error)
            return
        is_first, self.faults[of] = not self.faults, reason_of(error)
        if is_first:
            run = of or "the campaign's own run"
            self._say(f"{self._tracker} can't show {run} ({self.faults[of]}){self._goes_on}, all others are shown")
        self._show(self._lacking())

    def _leave_alone(self, error: Exception) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS
        self._behind, self._in_a_row = True, 0
        if not self.away:
            self.away = reason_of(error)
            self._say(f"{self._tracker} can't be written ({self.away}){self._goes_on}")
            self._show(f"{self._tracker}: not written since {time.strftime('%H:%M')} ({self.away})")

    def _lacking(self) -> str:
        if not self.faults:
            return ""
        first, *others = (of or "the campaign's own run" for of in self.faults)
        more = f" and {len(others)} more" if others else ""
        return f"{self._tracker}: lacks {first}{more} ({next(iter(self.faults.values()))})"


def reason_of(error: BaseException) -> str:
    """Why something could not be written, as one line: what a tracker says for people, else what was raised."""
    return one_line(error, 300) if isinstance(error, UserError) else f"{type(error).__name__}: {one_line(error)}"
