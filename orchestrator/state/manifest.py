"""What a campaign's folder says of itself: made once, and brought up to date by each command that writes to it."""

from __future__ import annotations

import contextlib
import datetime
import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nrtune.analysis.store.records import FORMAT, MANIFEST, read_manifest
from nrtune.orchestrator.state.copies import copied, in_its_place
from nrtune.orchestrator.state.identity import ADDRESSES, SPACE, check_identity
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.core.secrets import without_password

DATA_PATHS = ("data", "cagi5", "satmut", "benchmark")
"""The settings that say where data are."""


def open_manifest(
    folder: Path, name: str, identity: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Read the manifest, made now if there is none, without passwords; with a sentence if it is now a copy's.

    Raises UserError where it is another campaign's.
    """
    identity, about = _without_passwords(identity), dict(about)
    if "settings" in about:
        about["settings"] = _without_passwords(about["settings"])
    if not (folder / MANIFEST).exists():
        manifest = {
            "format": FORMAT,
            "id": uuid.uuid4().hex[:12],
            "name": name,
            "created": now(),
            "identity": dict(identity),
            **about,
        }
        write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
    found = read_manifest(folder, whole=False)
    check_identity(folder, found, identity, about)
    before = json.dumps(found)
    manifest = in_its_place(folder, found)
    sentence = copied(found, manifest)
    for name in ADDRESSES:  # it is tracked, or Optuna's studies are kept, elsewhere now
        if (uri := identity.get(name)) != manifest["identity"].get(name):
            manifest["identity"][name] = uri
            manifest["settings"] = {k: v for k, v in manifest["settings"].items() if k != name}
            manifest["settings"] |= {} if uri is None else {name: uri}
    _take_paths(manifest, about)
    if SPACE in identity:  # of families that it is extended by
        manifest["identity"][SPACE] = {**identity[SPACE], **manifest["identity"].get(SPACE, {})}
    if "audit" in about and manifest.get("audit") != about["audit"]:  # what was accepted now is said from now on
        manifest["audit"] = about["audit"]
        manifest["settings"] = {**manifest["settings"], "accept": list(about["audit"]["accepted"])}
    if json.dumps(manifest) != before:
        write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
    return manifest, sentence


def _take_paths(manifest: dict[str, Any], about: Mapping[str, Any]) -> None:
    """Where its data were found this time; their contents are those of before, or it would be another campaign."""
    said = about.get("settings", {})
    found = {name: said[name] for name in DATA_PATHS if name in said}
    if all(manifest["settings"].get(name) == path for name, path in found.items()):
        return
    manifest["settings"] = {**manifest["settings"], **found}
    for name in manifest.keys() & about.keys():
        if isinstance(about[name], dict) and "path" in about[name]:
            manifest[name] = {**manifest[name], "path": about[name]["path"]}


def settle(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """The manifest of a campaign whose lock is held, which has its place, and its own id if it is a copy, from now on."""
    found = read_manifest(folder)
    manifest = in_its_place(folder, found)
    if sentence := copied(found, manifest):
        say(sentence)
    if manifest != found:
        with contextlib.suppress(OSError):  # a copy that may only be read has the same id each time
            write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
    return manifest


def _without_passwords(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: without_password(value) if name in ADDRESSES else value for name, value in said.items()}


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def write_text(path: Path, text: str) -> None:
    """Write a text and a line end, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n"), parents=False)
