"""Failed trials again, once their cause is mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nrtune.analysis.store.records import read_manifest
from nrtune.orchestrator.execution.preflight import check_surroundings
from nrtune.orchestrator.state.ledger import take_back_failed
from nrtune.orchestrator.state.settings import RunSettings, Settings, StudySettings, load_settings
from nrtune.trainables.core.errors import UserError


def retried(folder: Path, names: Sequence[str], flags: Mapping[str, Any]) -> tuple[RunSettings, Sequence[str]]:
    """Take failed trials out of a campaign's records; returned are the settings to go on with, and the trials' names.

    names: of trials; all that failed where there are none. flags: laid over the campaign's settings. Raises UserError, before
    anything is changed, for a folder that holds no campaign of nrtune's, and where nothing could run now.
    """
    command = read_manifest(folder)["identity"].get("command")
    models = {model.command: model for model in (Settings, StudySettings)}
    if command not in models:
        raise UserError(f"{folder}: is neither a search nor a study: its trials can't be trained again")
    settings = load_settings(None, {**flags, "out": folder, "resume": True}, models[command])
    check_surroundings(settings.out, settings.address)
    return settings, take_back_failed(folder, names)
