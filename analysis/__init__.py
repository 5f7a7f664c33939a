"""Answers from a campaign's trials. Needs neither torch nor a cluster.

from analysis import open_campaign

campaign = open_campaign("out")
campaign.trials()
campaign.best("overall").config
"""

from __future__ import annotations

from analysis.trials import BestTrial, Campaign, open_campaign
from analysis.winners import USE_CASES, UseCase, Winner, find_winner
from trainables.errors import UserError

__all__ = ["USE_CASES", "BestTrial", "Campaign", "UseCase", "UserError", "Winner", "find_winner", "open_campaign"]
