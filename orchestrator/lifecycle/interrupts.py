"""Ctrl-C and a polite kill, held back until what runs comes to a point where it can be left."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

PATIENCE_SECONDS = 20.0
"""How long it may take to such a point; from then on it is left wherever it is."""


class SignalGuard:
    """In its `with` block the first SIGINT or SIGTERM only asks to leave; a second one raises KeyboardInterrupt at once.

    A block that was asked is left where it calls `leave_if_asked`, else at its end.

    Python raises KeyboardInterrupt between any two instructions, and not every place bears that: in a hook of a fork, in a
    destructor or in a weak reference's callback it is lost, and between the lines of `logging` it leaves the lock of
    all loggers held, on which the thread that writes to MLflow then waits for ever. Ray's import and start are full of
    such places.

    patience: seconds after which KeyboardInterrupt is raised all the same, and again after as many more. Outside the main
    thread, which alone gets signals, nothing is held back.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self.asked = False
        self._patience = patience
        self._over = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self.listen()
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if raised is None:
            self.leave_if_asked()

    def listen(self) -> None:
        """Take the signals, again after code that took one for itself: ray.init does that with SIGTERM."""
        for number in self._before:
            signal.signal(number, self._ask)

    def leave_if_asked(self) -> None:
        """Raise KeyboardInterrupt here if a signal came."""
        if self.asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        threading.Thread(
            target=self._insist, args=(threading.get_ident(),), name="nrtune-interrupt", daemon=True
        ).start()

    def _insist(self, main_thread: int) -> None:
        while not self._over.wait(self._patience):
            signal.pthread_kill(main_thread, signal.SIGINT)
