"""What is said while an answer takes long: a bar on a terminal, now and then a line elsewhere, on standard error."""

from __future__ import annotations

import sys
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nrtune.orchestrator.lifecycle.plain_console import PlainConsole
from nrtune.orchestrator.lifecycle.terminal import redraws
from nrtune.trainables.core.outside_text import visible

PATIENCE = 2.0
"""Seconds before anything is said."""

BETWEEN_LINES = 60.0
"""Seconds between lines where there is no bar."""


class Waiting:
    """Says what takes time and how much of it is done, as `Comparisons` tells it."""

    def __init__(self) -> None:
        self._console = PlainConsole(stderr=True)
        self._since: float | None = None
        self._said = 0.0
        self._bar: Progress | None = None

    def __call__(self, what: str, done: int, of: int) -> None:
        """So much of it is done; "": nothing is waited for any more."""
        if not what:
            self._end()
            return
        what, now = visible(what), time.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since < PATIENCE:
            return
        if redraws(sys.stderr):
            self._draw(what, done, of)
        elif now - self._said >= BETWEEN_LINES:
            self._said = now
            self._console.print(f"{what}: {done} of {of}", soft_wrap=True)

    def _draw(self, what: str, done: int, of: int) -> None:
        if self._bar is None:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
            self._bar.add_task(what)
        self._bar.update(self._bar.task_ids[0], description=what, completed=done, total=of)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._since = None, None
