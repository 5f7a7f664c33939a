"""`python -m nrtune`."""

from nrtune.orchestrator.cli import program

program()
