"""The command line, in the process of the tests."""

from __future__ import annotations

import functools
import sys

import pytest
import typer.main

from nrtune.orchestrator.cli import main as cli

get_command = functools.cache(typer.main.get_command)
"""Typer makes all commands anew for every call of the program: a twentieth of a second each."""


def run(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line."""
    monkeypatch.setattr(sys, "argv", ["nrtune", *map(str, arguments)])
    monkeypatch.setattr(typer.main, "get_command", get_command)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    out, err = capsys.readouterr()
    return int(exit_.value.code or 0), out, err
