"""YAML as users write it: a key twice is refused, and 1e-3 is a number."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from nrtune.trainables.core.errors import UserError, one_line


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

    Raises UserError for a file that can't be read, for what is no YAML, and for a key that stands twice in one mapping.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give {what}")
    try:
        return yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; give {what}") from error
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); give {what}") from error
    except _TwiceError as error:
        raise UserError(f"{path}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not YAML ({one_line(error, 500)})") from error
