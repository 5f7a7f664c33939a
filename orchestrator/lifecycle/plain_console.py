"""A console of rich's that draws tables and bars, and shows every text as it is."""

from __future__ import annotations

from typing import IO, Any

from rich.console import Console
from rich.text import Text

from nrtune.trainables.core.outside_text import LINES, visible


class PlainConsole(Console):
    """Text has no markup, no emoji codes and no control characters here, whoever wrote it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    @property
    def file(self) -> IO[str]:
        """Where it draws: a screen's own drawing, if that is a screen, which shows control characters as text."""
        file = super().file
        return getattr(file, "drawing", file)

    @file.setter
    def file(self, file: IO[str]) -> None:
        self._file = file

    def render_str(self, text: str, **options: Any) -> Text:
        """What is printed, and a table's cell."""
        return super().render_str(visible(text, LINES), **{**options, "markup": False, "emoji": False})

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; of a text that a library coloured, the text."""
        super().print(*(o.plain if isinstance(o, Text) else o for o in objects), **options)
