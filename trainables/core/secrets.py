"""Passwords in addresses: what is stored or shown of an address has none."""

from __future__ import annotations

import re

_WITH_PASSWORD = re.compile(
    r"(?P<before>\b(?:https?://[^\s/:@]*(?=:[^\s/]*@)|(?!https?:)[a-zA-Z][\w+.\-]*://[^\s/:@]*)):\S*@(?=[^\s@]*)"
)
"""SCHEME://USER:PASSWORD@…: the last @ ends a password, which may hold some itself and, but for a web server's, slashes."""
_SECRET_FIELD = re.compile(
    r"(?P<name>(?:[?&;]|%3B)\w*(?:password|passwd|pwd|token|secret)(?:=|%3D))(?:(?!%3B)[^\s&;])*", re.IGNORECASE
)


def without_password(url: str | None) -> str | None:
    """The address without its password: what opens it then finds one where it looks for it, as in .pgpass or the environment."""
    if url is None:
        return None
    bare = _SECRET_FIELD.sub(lambda found: found["name"][0], _WITH_PASSWORD.sub(r"\g<before>@", url))
    return re.sub(r"([?&;])[&;]+", r"\1", bare).rstrip("?&;%")


def redacted(text: str) -> str:
    """A text in which *** stands for the password of each address."""
    return _SECRET_FIELD.sub(r"\g<name>***", _WITH_PASSWORD.sub(r"\g<before>:***@", text))
