"""Errors that a user can mend: one sentence each, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from nrtune.trainables.core.outside_text import LINES, visible
from nrtune.trainables.core.secrets import redacted


class UserError(ValueError):
    """A user's mistake, said in one sentence: what, where, what to do; without passwords of addresses and control characters."""

    def __init__(self, sentence: str) -> None:
        super().__init__(visible(redacted(sentence), LINES))


def suggest(wrong: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return `"; did you mean 'x'?"` for the nearest known name, else `otherwise`, else the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if otherwise is None else otherwise


def one_line(error: BaseException, length: int = 200) -> str:
    """Return what an exception says as one line of at most `length` characters, without passwords: a cut one is no address."""
    return visible(redacted(" ".join(str(error).split())))[:length]
