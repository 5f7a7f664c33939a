"""Answers from a campaign's trials. Needs neither torch nor a cluster.

from nrtune import open_campaign

campaign = open_campaign("out")
campaign.trials()
campaign.best("overall").config
"""

from __future__ import annotations

from nrtune.analysis.selection.winners import USE_CASES, UseCase, Winner, find_winner
from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.sources.trials import BestTrial, Campaign, Trials
from nrtune.trainables.core.errors import UserError

__all__ = [
    "USE_CASES",
    "BestTrial",
    "Campaign",
    "Trials",
    "UseCase",
    "UserError",
    "Winner",
    "find_winner",
    "open_campaign",
]
