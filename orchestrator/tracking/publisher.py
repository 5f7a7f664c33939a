"""Writes to MLflow from a thread of its own: it only shows what the ledger holds, so no trial waits for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from nrtune.trainables.core.errors import one_line

AWAY_SECONDS = 30.0
"""MLflow is not called for so long after a failure."""

SWITCH_SECONDS = 0.0002
"""How long the thread may keep Python's lock from the search, which wakes for a millisecond at a time: at Python's own
5 ms it waits for the lock longer than it works."""

SILENT_SECONDS = 3.0
"""When a user who waits for a write is told so."""


class Publisher:
    """Carries out writes one after the other, in the order in which they were put.

    Where one fails, MLflow is left alone for a while, and what is put meanwhile is dropped: `catch_up` writes what it
    missed, from the books, once it answers again. say: told when MLflow goes and comes.
    """

    def __init__(self, catch_up: Callable[[], None], say: Callable[[str], None], tracker: str = "MLflow") -> None:
        self._catch_up, self._say, self._tracker = catch_up, say, tracker
        self._away_until = 0.0
        self._given_up = False
        self._written = 0
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        # A daemon: a second Ctrl-C ends the process even where a server takes minutes to answer.
        self._switch_before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread = Thread(target=self._work, name="nrtune-mlflow", daemon=True)
        self._thread.start()

    def put(self, write: Callable[[], object]) -> None:
        """Have something written, soon."""
        self._queue.put(write)

    def close(self, last: Callable[[], None], patience: float | None = None) -> None:
        """Wait until all is written, then what was missed, and one thing at the very end.

        patience: seconds that one write may take before the rest is given up; without it, as long as MLflow takes to
        answer or to fail.
        """
        self._last = last
        self._queue.put(None)
        if patience is None:
            self._thread.join()
        else:
            self._wait(patience)
        sys.setswitchinterval(self._switch_before)

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
            self._say(f"{self._tracker} takes too long; the same command writes what it misses")

    def _work(self) -> None:
        while (write := self._queue.get()) is not None:
            self._write(write)
        self._away_until = min(self._away_until, time.monotonic())
        for write in (self._catch_up, self._last):
            self._write(write)

    def _write(self, write: Callable[[], object]) -> None:
        if self._given_up or time.monotonic() < self._away_until:
            return
        try:
            write()
            if self._away_until:
                self._away_until = 0.0
                self._say(f"{self._tracker} can be written again")
                self._catch_up()
        except Exception as error:  # MLflow, SQLAlchemy, HTTP and file systems raise many kinds
            self._away_until = time.monotonic() + AWAY_SECONDS
            self._say(
                f"{self._tracker} can't be written ({type(error).__name__}: {one_line(error)}); the search goes on"
            )
        self._written += 1
