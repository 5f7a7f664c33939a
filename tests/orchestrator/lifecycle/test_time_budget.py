"""How long a command may train."""

from __future__ import annotations

import time

import pytest

from nrtune.orchestrator.lifecycle.time_budget import TimeBudget


def test_a_share_is_kept_for_later(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = TimeBudget(10)
    assert (budget.left(), budget.left(kept=0.4)) == (600, 360)
    now += 400
    assert (budget.left(), budget.left(kept=0.4)) == (200, -40)
    assert TimeBudget(None).left(kept=0.4) is None
