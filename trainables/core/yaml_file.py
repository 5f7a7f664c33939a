"""YAML as users write it: a key twice is refused, and 1e-3 is a number."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.given import check_file

LARGEST, DEEPEST = 1 << 20, 50
"""Bytes, or values, of a file that people write, and brackets or steps of indentation in each other."""


class _Loader(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, in which 1e-3 is a text and a later key replaces an earlier one of its name."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: dict[Hashable, int] = {}
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key, line = loader.construct_object(key_node, deep=True), key_node.start_mark.line + 1
        if isinstance(key, Hashable):
            if key in seen:
                raise _TwiceError(f"{key} stands in lines {seen[key]} and {line}; keep one")
            seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


class _TwiceError(Exception):
    """A key stands in a mapping twice."""


def read_yaml(path: Path, what: str) -> Any:
    """What a YAML file holds; None for an empty one. what: what should be there, for errors.

    Raises UserError for a file that can't be read, for what is no YAML, for a key that stands twice in one mapping, and for what
    people do not write: more than LARGEST bytes or, with what it refers to (&, *), values, and DEEPEST things in each other.
    """
    check_file(path, what)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UserError(f"{path}: has more than {LARGEST:,} bytes; give {what}")
        text = content.decode("utf-8-sig")
        _check_events(path, text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # _Loader is a SafeLoader
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); give {what}") from error
    except _TwiceError as error:
        raise UserError(f"{path}: {error}") from error
    except UserError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # of values, too, such as 2026-13-45
        raise UserError(f"{path}: is not YAML ({one_line(error, 500)})") from error


def _check_events(path: Path, text: str) -> None:
    """See that YAML is not too deep, and not too much with what it refers to. Raises UserError."""
    sizes, anchors = [0], [""]  # of what is open: how much it holds, and its anchor
    of_anchor: dict[str, int] = {}
    for event in yaml.parse(text, Loader=_Loader):
        where = f"{path}: line {event.start_mark.line + 1 if event.start_mark else '?'}"
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(0)
            anchors.append(event.anchor or "")
        elif isinstance(event, yaml.CollectionEndEvent):
            of_anchor[anchors.pop()] = size = sizes.pop()
            sizes[-1] += size + 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in anchors:
                raise UserError(f"{where} refers to &{event.anchor}, in which it stands; leave it out")
            sizes[-1] += of_anchor.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[-1] += 1
        if len(sizes) > DEEPEST:
            raise UserError(f"{where} has more than {DEEPEST} things in each other")
        if sizes[-1] > LARGEST:
            raise UserError(
                f"{where} refers (*) to so much that it has more than {LARGEST:,} values; write out what is meant"
            )
