"""From settings to a plan: all that can be wrong is found here, the machine before settings, these before data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nrtune.orchestrator.execution.preflight import check_surroundings
from nrtune.orchestrator.state.settings import ReplicateSettings, RunSettings, Settings, StudySettings

if TYPE_CHECKING:
    from nrtune.orchestrator.campaign.plan import Plan


def prepare(settings: RunSettings) -> Plan:
    """Check settings and what they name, and say what would be trained. Nothing is written. Raises UserError."""
    check_surroundings(settings.out, settings.address)
    # What these import takes seconds: where nothing can start anyway, that is said before.
    match settings:
        case Settings():
            from nrtune.orchestrator.campaign.search import prepare_search

            return prepare_search(settings)
        case StudySettings():
            from nrtune.orchestrator.campaign.study import prepare_study

            return prepare_study(settings)
        case ReplicateSettings():
            from nrtune.orchestrator.campaign.replication import prepare_replication

            return prepare_replication(settings)
    raise TypeError(f"{type(settings).__name__} are no settings of a campaign")
