"""Recipes: how all trials of a campaign are trained and predict, beside what their families are about."""

from __future__ import annotations

from collections.abc import Mapping

RECIPES: Mapping[str, Mapping[str, bool]] = {
    "field": {"reverse_complement": True, "both_strands": True, "standardise": True, "decay_norms": False},
    "study": {"reverse_complement": False, "both_strands": False, "standardise": False, "decay_norms": True},
}
"""Parameters of a trial, by the recipe's name. field: what the field does, and the default of a search; study: what the study
did, which are a trial's own defaults, and what searches did before there were recipes."""
