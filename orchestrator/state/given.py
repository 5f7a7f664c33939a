"""Addresses that this account itself has given for a campaign: none is used because a folder says so.

A folder may come from anybody, and what answers at an address could run code here or take a password. So what was given is kept
outside of it, in the user's own state folder, by the place of the folder; a copy, and one that was moved, are others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import user_state, write_atomically
from nrtune.trainables.core.inside import regular
from nrtune.trainables.core.secrets import without_password

VARIABLES = {
    "address": "RAY_ADDRESS",
    "tracking_uri": "NRTUNE_TRACKING_URI",
    "optuna_storage": "NRTUNE_OPTUNA_STORAGE",
}
"""The settings that are addresses, and where else than with their flag a user may give each."""

_KEPT = 20
"""Addresses of a kind that are remembered of a folder, the latest."""


def is_given(folder: Path, name: str, stored: str | None) -> bool:
    """Whether this account has given a stored address, without a password, for the campaign in a folder; None is no address."""
    variable = os.environ.get(VARIABLES[name])
    return stored is None or without_password(variable) == stored or stored in _read(folder).get(name, ())


def check_given(folder: Path, name: str, stored: str | None) -> None:
    """See that a stored address is this account's own. Raises UserError, which says how it becomes that."""
    if not is_given(folder, name, stored):
        flag = f"--{name.replace('_', '-')}"
        raise UserError(
            f"{folder}: names {stored} as its {name}, which this account never gave for a campaign at this place; give"
            f" {flag} {stored} (or {VARIABLES[name]}) to use it from now on, or another {flag}"
        )


def remember(folder: Path, given: Mapping[str, str | None]) -> None:
    """Note addresses that the user has given for the campaign in a folder, without passwords, beside those of before."""
    path, known = _path(folder), _read(folder)
    for name, value in given.items():
        if (bare := without_password(value)) is not None:
            known[name] = [*(one for one in known.get(name, ()) if one != bare), bare][-_KEPT:]
    if path is None or known == _read(folder):
        return
    text = json.dumps({"folder": str(folder.resolve()), **known}, indent=1)
    with contextlib.suppress(OSError):  # then it is asked for again
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, lambda temporary: temporary.write_text(text + "\n"))


def _read(folder: Path) -> dict[str, Any]:
    """The addresses that are remembered of a folder, lists by name; empty where there are none."""
    if (path := _path(folder)) is None:
        return {}
    try:
        with open(path, opener=regular) as file:
            stored = json.load(file)
        return {name: stored[name] for name in VARIABLES if isinstance(stored.get(name), list)}
    except (OSError, ValueError, AttributeError):
        return {}


def _path(folder: Path) -> Path | None:
    if (state := user_state()) is None:
        return None
    return state / "campaigns" / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}.json"
