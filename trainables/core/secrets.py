"""Passwords in addresses: what is stored or shown of an address has none."""

from __future__ import annotations

import re

_WITH_PASSWORD = re.compile(r"(?P<before>\b[a-zA-Z][\w+.\-]*://[^\s/:@]*):(?!\d+/)\S*@(?=[^\s@]*)")
"""SCHEME://USER:PASSWORD@…: the last @ ends a password, which may hold some itself; digits before a slash are a port."""
_SECRET_FIELD = re.compile(r"(?P<name>[?&](?:password|passwd|pwd|token|access_token|secret)=)[^\s&]*", re.IGNORECASE)


def without_password(url: str | None) -> str | None:
    """The address without its password: what opens it then finds one where it looks for it, as in .pgpass or the environment."""
    if url is None:
        return None
    bare = _WITH_PASSWORD.sub(r"\g<before>@", url)
    return re.sub(r"(\?|&)&+", r"\1", re.sub(_SECRET_FIELD, lambda found: found["name"][0], bare)).rstrip("?&")


def redacted(text: str) -> str:
    """A text in which *** stands for the password of each address."""
    return _SECRET_FIELD.sub(r"\g<name>***", _WITH_PASSWORD.sub(r"\g<before>:***@", text))
