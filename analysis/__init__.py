"""Answers from a campaign's trials. Needs neither torch nor a cluster.

from analysis import open_campaign

campaign = open_campaign("out")
campaign.trials()
campaign.best("overall").config
"""

from __future__ import annotations

from analysis.sources import open_campaign
from analysis.trials import BestTrial, Campaign, Trials
from analysis.winners import USE_CASES, UseCase, Winner, find_winner
from trainables.errors import UserError

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
