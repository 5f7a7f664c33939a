"""How the texts of options are read: lists, pairs and paths."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nrtune.trainables.core.errors import UserError


def comma_separated(text: str | None) -> tuple[str, ...] | None:
    """The parts of a list; None where the option was not given."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def all_of(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    """The parts of an option that is given again, each a list; None where it was not given."""
    return tuple(part for text in texts for part in comma_separated(text) or ()) if texts else None


def given(options: Mapping[str, Any], **parsed: Any) -> dict[str, Any]:
    """A command's options by the names of its settings: all but those that are none, and some of them parsed."""
    flags = {name: value for name, value in options.items() if name not in ("settings", "print_settings", "folder")}
    if "benchmark" in flags:
        flags["benchmark"] = paths_of(flags["benchmark"])
    for name, parse in (("columns", columns_of), ("val_chroms", comma_separated), ("test_chroms", comma_separated)):
        if name in flags:
            flags[name] = parse(flags[name])
    if "accept" in flags:
        flags["accept"] = all_of(flags["accept"])
    return flags | parsed


def paths_of(texts: Sequence[str] | None) -> dict[str, Path] | None:
    """NAME=PATH pairs; None where none was given. Raises UserError for one without an equals sign, and for a repeat."""
    if not texts:
        return None
    found: dict[str, Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not (name and path):
            raise UserError(f"--benchmark {text}: give NAME=PATH, such as table=variants.tsv")
        if name in found:
            raise UserError(f"--benchmark {text}: {name} is named twice")
        found[name] = Path(path)
    return found


def assignments(texts: Sequence[str] | None) -> dict[str, Any] | None:
    """NAME=VALUE pairs; a value is a number, true or false where it reads as one, else a text. None where none was given.

    Raises UserError for one without an equals sign.
    """
    found: dict[str, Any] = {}
    for name, value in (assigned_texts(texts, "--set", "encoder=factorized") or {}).items():
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found or None


def assigned_texts(texts: Sequence[str] | None, option: str, example: str) -> dict[str, str] | None:
    """NAME=VALUE pairs of an option that is given again, as they are. None where none was given.

    Raises UserError for one without an equals sign.
    """
    if not texts:
        return None
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"{option} {text}: give NAME=VALUE, such as {example}")
        found[name.strip()] = value.strip()
    return found


def columns_of(text: str | None) -> dict[str, str] | None:
    """ROLE=NAME pairs between commas; None where none were given. Raises UserError for one without an equals sign or a repeat."""
    if text is None:
        return None
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        role, equals, name = (side.strip() for side in part.partition("="))
        if not (role and equals):
            raise UserError(f"--columns {text}: give ROLE=NAME,ROLE=NAME, such as seq=sequence,activity=log2FC")
        if role in found:
            raise UserError(f"--columns {text}: names {role} twice; replicates are replicates=ONE+OTHER")
        found[role] = name
    return found
