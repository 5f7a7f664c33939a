"""From settings to a plan: all that can be wrong is found here, settings before data."""

from __future__ import annotations

from nrtune.orchestrator.campaign.plan import Plan
from nrtune.orchestrator.campaign.replication import prepare_replication
from nrtune.orchestrator.campaign.search import prepare_search
from nrtune.orchestrator.campaign.study import prepare_study
from nrtune.orchestrator.state.settings import ReplicateSettings, RunSettings, Settings, StudySettings


def prepare(settings: RunSettings) -> Plan:
    """Check settings and what they name, and say what would be trained. Nothing is written. Raises UserError."""
    match settings:
        case Settings():
            return prepare_search(settings)
        case StudySettings():
            return prepare_study(settings)
        case ReplicateSettings():
            return prepare_replication(settings)
    raise TypeError(f"{type(settings).__name__} are no settings of a campaign")
