"""A line an event, and one where there is none for a while; a table that is drawn anew on a terminal alone."""

from __future__ import annotations

import io
import re
import sys

import pytest
from command_line import wait_until
from trial_records import record

from nrtune.orchestrator.lifecycle.progress import Progress
from nrtune.orchestrator.lifecycle.trial import LiveTrial


def taken(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error, which is no terminal, and shall have colours all the same."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    return file


def test_where_nothing_happens_a_line_says_what_runs(monkeypatch):
    file = taken(monkeypatch)
    with Progress({"baseline": 1}, [], quiet=0.05) as progress:
        wait_until(lambda: "1 s elapsed; running: nothing yet\n" in file.getvalue(), "a line")
        trial = LiveTrial(record("RS-001", config={"epochs": 3}).proposal)
        progress.started(trial)
        wait_until(lambda: f"running: {trial.proposal.name}: 0/" in file.getvalue(), "a line on the trial")
    assert not re.search(r"\x1b|\r", file.getvalue())


def test_where_something_is_said_in_time_no_line_is_added(monkeypatch):
    file = taken(monkeypatch)
    with Progress({"baseline": 1}, [], quiet=600) as progress:
        progress.say("an event")
        progress.show("a standing line")
    assert file.getvalue() == "an event\n"
