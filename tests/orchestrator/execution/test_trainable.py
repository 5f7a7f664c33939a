"""The worker's time limit."""

from __future__ import annotations

import time

import pytest

from nrtune.orchestrator.execution.trainable import _TimeLimit
from nrtune.orchestrator.lifecycle.faults import TrialTimeout


def test_a_time_limit_cuts_a_hang():
    with pytest.raises(TrialTimeout), _TimeLimit(0.05):
        time.sleep(5)
    with _TimeLimit(None):
        pass
    with pytest.raises(TrialTimeout), _TimeLimit(0.0):
        pytest.fail("no time was left")
