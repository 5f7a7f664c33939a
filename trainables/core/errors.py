"""Errors that a user can mend: one sentence each, never a traceback."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from nrtune.trainables.core.outside_text import LINES, visible
from nrtune.trainables.core.secrets import redacted

_LONG_WORD = re.compile(r"[^\s/]{256,}")
"""Longer than the name of any file: a sequence, an allele or a cell that is quoted."""
_SHOWN = 60
_QUOTED = 40
"""Letters of a name, or a cell, that a sentence quotes, and"""
_LISTED = 20
"""names that it lists, of what is known so many."""
_KNOWN = 60


class UserError(ValueError):
    """A user's mistake, said in one sentence: what, where, what to do; without passwords of addresses and control characters.

    Of a word that no file's name could be, as it is too long, the beginning is shown.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(_LONG_WORD.sub(_beginning, visible(redacted(sentence), LINES)))


def _beginning(word: re.Match[str]) -> str:
    """A word's first letters, and what ends a quotation."""
    end = re.search(r"['\"`]?[.,:;)]*$", word[0])
    return f"{word[0][:_SHOWN]}…{'' if end is None else end[0]}"


def suggest(wrong: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return `"; did you mean 'x'?"` for the nearest known name, else `otherwise`, else the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {listing(names, _KNOWN)}" if otherwise is None else otherwise


def quoted(text: object, most: int = _QUOTED) -> str:
    """What a file or a user wrote, as a sentence quotes it: in one line, and its beginning where it is longer."""
    whole = str(text)
    return re.sub(r"\s", " ", whole if len(whole) <= most else f"{whole[:most]}…")


def listing(names: Iterable[object], most: int = _LISTED) -> str:
    """Names with commas between, so many at most, each as of `quoted`."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(map(quoted, every[:most])) + more


def one_line(error: BaseException, length: int = 200) -> str:
    """Return what an exception says as one line of at most `length` characters, without passwords: a cut one is no address."""
    try:
        said = str(error)
    except Exception:  # a plug-in's own class of exceptions may say nothing
        said = f"a {type(error).__name__} that can't be printed"
    return visible(redacted(" ".join(said.split())))[:length]
