"""How long a command may train."""

from __future__ import annotations

import time


class TimeBudget:
    """So many minutes from now on, or as long as it takes."""

    def __init__(self, minutes: float | None) -> None:
        self._seconds = None if minutes is None else minutes * 60
        self._started = time.monotonic()

    def left(self, kept: float = 0.0) -> float | None:
        """Seconds that are left of all but a share that is kept for later; None where it takes as long as it takes."""
        if self._seconds is None:
            return None
        return self._seconds * (1 - kept) - (time.monotonic() - self._started)
