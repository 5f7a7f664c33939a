"""Campaigns from Python, in a script or a notebook; what is written is what the commands write."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, TypeVar

from nrtune.analysis.campaign import Campaign, open_campaign
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.state.settings import (
    RunSettings,
    Settings,
    StudySettings,
    load_replication,
    load_settings,
)
from nrtune.trainables.core.outside_text import visible

S = TypeVar("S", bound=RunSettings)


def search(settings: Settings | str | os.PathLike[str] | None = None, /, **fields: Any) -> Campaign:
    """Search method families and confirm the winners with fresh seeds; the same call again goes on where it was interrupted.

    settings: a `Settings`, or the path of a settings file. fields: those of `Settings`, laid over it, such as
    data="lentiMPRA.h5", out="campaign", families=["baseline", "rank_stability"]. Returned is the campaign, also where a time
    budget ended it. Ctrl-C, or interrupting a notebook's kernel, raises KeyboardInterrupt once everything is in order. Raises
    UserError for what is wrong, before anything is written.
    """
    return _run(_settings(settings, fields, Settings))


def study(settings: StudySettings | str | os.PathLike[str] | None = None, /, **fields: Any) -> Campaign:
    """Train the study's published configurations, or those of `only`, each to its end; otherwise as `search`."""
    return _run(_settings(settings, fields, StudySettings))


def replicate(campaign: Campaign | str | os.PathLike[str], /, **fields: Any) -> Campaign:
    """Train the best trials of a campaign's use cases again, and the baseline, with fresh seeds; otherwise as `search`.

    campaign: the folder of a search or a study, or what they returned. fields: those of `ReplicateSettings`, such as top=5,
    seeds=5.
    """
    folder = campaign.folder if isinstance(campaign, Campaign) else Path(campaign)
    return _run(load_replication(Path(folder or campaign.name), fields, as_flags=False))  # type: ignore[union-attr]


def _settings(given: S | str | os.PathLike[str] | None, fields: dict[str, Any], model: type[S]) -> S:
    if isinstance(given, RunSettings):
        stored = {name: getattr(given, name) for name in given.model_fields_set}
        return load_settings(None, {**stored, **fields}, model, as_flags=False)
    return load_settings(None if given is None else Path(given), fields, model, as_flags=False)


def _run(settings: RunSettings) -> Campaign:
    plan = prepare(settings)
    for note in plan.notes():
        sys.stderr.write(f"  {visible(note)}\n")
    outcome = run_campaign(plan)
    if outcome.why == "interrupted":
        raise KeyboardInterrupt("interrupted; the same call again goes on from here")
    return open_campaign(plan.folder)
