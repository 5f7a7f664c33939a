"""What is said while an answer takes long."""

from __future__ import annotations

import io
import os
import sys

import pytest

from nrtune.orchestrator.views import waiting
from nrtune.orchestrator.views.waiting import Waiting


@pytest.mark.parametrize("forced", [False, True])
def test_a_file_gets_a_line_now_and_then_and_no_redraws(monkeypatch, forced):
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    if forced:
        monkeypatch.setenv("FORCE_COLOR", "1")
    say = Waiting()
    for done in range(1, 40):
        say("reading predictions", done, 40)
    say("", 0, 0)
    assert sys.stderr.getvalue().count("\n") == 1
    assert "1 of 40" in sys.stderr.getvalue()
    assert "\r" not in sys.stderr.getvalue()
    assert "\x1b[2K" not in sys.stderr.getvalue()


def test_what_is_quick_says_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    say = Waiting()
    say("reading predictions", 1, 2)
    say("", 0, 0)
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize(("kind", "is_bar"), [("xterm", True), ("dumb", False)])
def test_a_terminal_gets_a_bar_that_leaves_nothing(monkeypatch, kind, is_bar):
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(waiting, "PATIENCE", 0.0)
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", kind)
        monkeypatch.delenv("NO_COLOR", raising=False)
        say = Waiting()
        say("resampling for overall (1 of 8)", 3, 9)
        say("resampling for overall (1 of 8)", 9, 9)
        say("", 0, 0)
        terminal.flush()
        said = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "resampling for overall (1 of 8)" in said
    assert ("\x1b[2K" in said) == is_bar  # the line is cleared
