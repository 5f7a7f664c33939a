"""Ctrl-C, a polite kill and a terminal that closes, held back until what runs comes to a point where it can be left."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

PATIENCE_SECONDS = 20.0
"""How long it may take to such a point; from then on it is left wherever it is."""

HURRIED_SECONDS = 5.0
"""The same where what runs has lost what it runs on, and most likely waits for it."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalGuard:
    """In its `with` block the first of SIGNALS only asks to leave; a second one raises KeyboardInterrupt at once.

    A SIGHUP that nohup has had ignored stays so.

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
        self._left: threading.Event | None = None
        self._patience = patience
        self._over = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._main_thread = threading.get_ident()
            before = {number: signal.getsignal(number) for number in SIGNALS}
            self._before = {
                number: handler
                for number, handler in before.items()
                if number != signal.SIGHUP or handler != signal.SIG_IGN
            }
            self.listen()
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if raised is None and self.asked:
            raise KeyboardInterrupt

    def listen(self) -> None:
        """Take the signals, again after code that took one for itself: ray.init does that with SIGTERM."""
        for number in self._before:
            signal.signal(number, self._ask)

    def leave_if_asked(self) -> None:
        """Raise KeyboardInterrupt here if a signal came, or `leave` was called."""
        if self.asked or self._must_leave():
            raise KeyboardInterrupt

    def leave(self, left: threading.Event) -> None:
        """Have the block left, from another thread: soon, as what runs in it has lost what it runs on. Nobody asked for that.

        left: set once that is so.
        """
        self._left = left
        if self._before:
            self._insist_after(min(self._patience, HURRIED_SECONDS), left)

    def _must_leave(self) -> bool:
        return self._left is not None and not self._left.is_set()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked or self._must_leave():
            raise KeyboardInterrupt
        self.asked = True
        self._insist_after(self._patience, self._over)

    def _insist_after(self, patience: float, over: threading.Event) -> None:
        def insist() -> None:
            while not over.wait(patience) and not self._over.is_set():
                signal.pthread_kill(self._main_thread, signal.SIGINT)

        threading.Thread(target=insist, name="nrtune-interrupt", daemon=True).start()
