"""What a file must hold before anything is made of it: the shape of its values, and JSON that is read with limits.

A shape is a type; a tuple of shapes, one of which it has; a list of one shape, which all items have; a dictionary of shapes by
key, of which those that end in ? may be missing, while further keys may be there, whose shape is that of EACH; or a function that
says what is wrong, or nothing. `float` is any finite number, `int` a whole one of 64 bits, None nothing.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import unicodedata
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.given import check_file
from nrtune.trainables.core.inside import regular
from nrtune.trainables.core.outside_text import visible

EACH = "*"
DEEPEST, LARGEST = 32, 16 << 20
"""Levels of what JSON holds, and bytes of a file of it: none that nrtune writes has a tenth of either."""
_LONGEST = 80
_NEVER_IN_NAMES = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, halves of characters, which no file can hold, and ends of lines."""


class DamagedFile(UserError):
    """A file is not what nrtune wrote: it says where, and what is wrong."""


class DamagedWarning(UserWarning):
    """What is damaged is left out, and the rest is used."""


def check_shape(value: Any, shape: Any, place: str = "") -> None:
    """See that a value has a shape. Raises ValueError: a clause that begins with the place in it, such as `settings.keep`."""
    if (why := _why_not(value, shape, place)) is not None:
        raise ValueError(f"it{why[1:]}" if why.startswith(": ") else why)


def one_of(*values: object) -> Callable[[Any], str | None]:
    """The shape of what is one of a few values."""

    def why_not(value: Any) -> str | None:
        there = any(type(value) is type(known) and value == known for known in values)
        return None if there else f"is {shown(value)}, not {' or '.join(map(str, values))}"

    return why_not


def file_name(value: Any) -> str | None:
    """The shape of what names a file or a folder below another: letters, digits, underscores, points and hyphens."""
    if isinstance(value, str) and re.fullmatch(r"[\w-][\w.-]*", value):
        return None
    return f"is {shown(value)}, not a plain name"


def plain(value: Any) -> str | None:
    """The shape of a name: a text of one line without control characters and halves of characters."""
    if not isinstance(value, str):
        return f"is {shown(value)}, not a text"
    return None if _is_plain(value) else f"is {visible(shown(value))}, with control characters or half a character"


def shown(value: Any) -> str:
    """A value in a sentence: its kind where it has parts, else itself, as short as need be."""
    if isinstance(value, dict | list | tuple | set | bytes | bytearray):
        return _NOUNS.get(type(value), f"a {type(value).__name__}")
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_NOUNS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    None: "nothing",
}


def _why_not(value: Any, shape: Any, place: str) -> str | None:
    if isinstance(shape, dict):
        return _of_mapping(value, shape, place)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{place}: is {shown(value)}, not a list"
        return _first(_why_not(item, shape[0], f"{place}[{number}]") for number, item in enumerate(value))
    if isinstance(shape, tuple):
        found = [_why_not(value, one, place) for one in shape]
        return None if None in found else found[0]
    if shape in _NOUNS:
        return None if _is(value, shape) else f"{place}: is {shown(value)}, not {_NOUNS[shape]}"
    if isinstance(shape, type):
        return None if isinstance(value, shape) else f"{place}: is {shown(value)}, not a {shape.__name__}"
    why = shape(value)
    return None if why is None else f"{place}: {why}"


def _of_mapping(value: Any, shape: dict[str, Any], place: str) -> str | None:
    if not isinstance(value, dict):
        return f"{place}: is {shown(value)}, not a mapping"
    if any(not isinstance(key, str) for key in value):
        return f"{place}: has a key that is no text"
    within = f"{place}." if place else ""
    if odd := [key for key in value if not _is_plain(key)]:
        return f"{place}: has the key {visible(shown(odd[0]))}, with control characters or half a character"
    named = {key.removesuffix("?"): of for key, of in shape.items() if key != EACH}
    missing = [key for key in shape if key != EACH and not key.endswith("?") and key not in value]
    if missing:
        return f"{within}{missing[0]}: is missing"
    return _first(
        _why_not(item, named.get(key, shape.get(EACH)), f"{within}{key[:_LONGEST]}")
        for key, item in value.items()
        if key in named or EACH in shape
    )


def _is_plain(text: str) -> bool:
    return text.isprintable() or all(unicodedata.category(sign) not in _NEVER_IN_NAMES for sign in text)


def _first(found: Any) -> str | None:
    return next((why for why in found if why is not None), None)


def _is(value: Any, kind: Any) -> bool:
    if kind is None:
        return value is None
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is int:
        return isinstance(value, int) and abs(value) < 1 << 63
    if kind is float:
        return (isinstance(value, int) and abs(value) < 1 << 63) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, kind)


def parse_json(text: str | bytes, shape: Any, *, not_finite: bool = False) -> Any:
    """What a JSON text holds. not_finite: NaN and Infinity are numbers in it. Raises ValueError, a clause on what is wrong."""
    try:
        value = json.loads(text, parse_constant=float if not_finite else _refuse)
    except RecursionError as error:
        raise ValueError(f"is nested more than {DEEPEST} levels deep") from error
    check_depth(value)
    check_shape(value, shape)
    return value


def read_json(path: Path, what: str, shape: Any, *, not_finite: bool = False) -> Any:
    """What a JSON file holds. what: what should be there, for errors. Raises UserError; DamagedFile for any other content."""
    try:
        return parse_json(read_small(path, what), shape, not_finite=not_finite)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise DamagedFile(f"{path}: is damaged ({one_line(error)})") from error


def read_small(path: Path, what: str, largest: int = LARGEST) -> bytes:
    """The content of a file of at most so many bytes. Raises UserError, and DamagedFile for a larger one."""
    check_file(path, what)
    with open(path, "rb", opener=regular) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise DamagedFile(f"{path}: has more than {largest >> 20} MiB; give {what}")
    return content


def check_depth(value: Any, deepest: int = DEEPEST) -> None:
    """See that lists and mappings are not nested too deeply to be worked on. Raises ValueError."""
    level: Collection[Any] = [value]
    for _ in range(deepest):
        level = list(itertools.chain.from_iterable(map(_parts, level)))
        if not level:
            return
    raise ValueError(f"is nested more than {deepest} levels deep")


def _parts(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")
