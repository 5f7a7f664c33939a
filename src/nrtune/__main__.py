"""`python -m nrtune`."""

from nrtune.orchestrator.cli.main import program

program()
