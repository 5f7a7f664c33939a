"""Text from outside, such as a trial's name in a folder that somebody sent, as a terminal or a page may show it."""

from __future__ import annotations

import unicodedata

LINES = "\n\t"
"""What text of several lines keeps."""

_OBEYED = ("Cc", "Cf", "Zl", "Zp")
"""Kinds of characters that are not shown but obeyed: control characters, C1 among them, what turns the direction of writing."""


def visible(text: str, keep: str = "") -> str:
    r"""The text with `\x1b`, `\u202e` and the like in place of characters that a terminal obeys, but for those to keep."""
    if text.isprintable():
        return text
    return "".join(sign if sign in keep or sign.isprintable() else _shown(sign) for sign in text)


def _shown(sign: str) -> str:
    if "\udc80" <= sign <= "\udc9f":  # a byte of a file's name that a terminal of 8 bits obeys
        return f"\\x{ord(sign) - 0xDC00:02x}"
    half = "\ud800" <= sign < "\udc80"  # of a character, and no byte of a file's name: nothing can be written with it
    obeyed = half or unicodedata.category(sign) in _OBEYED
    return sign.encode("unicode_escape").decode("ascii") if obeyed else sign
