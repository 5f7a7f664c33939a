"""Passwords in a command line: a list of processes shows it to everybody on the machine, and no environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit, urlunsplit

from nrtune.orchestrator.state.given import VARIABLES
from nrtune.trainables.core.secrets import without_password

OPTIONS = {"--tracking-uri": VARIABLES["tracking_uri"], "--optuna-storage": VARIABLES["optuna_storage"]}
"""Options that take an address, each with the variable from which its password is known where it has none."""

READING = ("status", "trials", "best", "ensemble", "report", "compare")
"""Commands that read from a tracking server; MLflow finds its login in variables of its own."""


def moved(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Arguments of which no address has a password, and the variables that have those addresses whole."""
    bare = list(arguments)
    variables: dict[str, str] = {}
    for position, argument in enumerate(arguments):
        option, separator, value = argument.partition("=")
        before = "" if position == 0 else arguments[position - 1]
        if option in OPTIONS and separator:
            variable, head = OPTIONS[option], f"{option}="
        elif before in OPTIONS:
            variable, head, value = OPTIONS[before], "", argument
        elif "://" in argument and not before.startswith("-") and arguments[0] in READING:
            variables |= _login(argument)
            bare[position] = _without_login(argument) if _login(argument) else argument
            continue
        else:
            continue
        if (without := without_password(value)) != value:
            bare[position], variables[variable] = f"{head}{without}", value
    return bare, variables


def _login(address: str) -> dict[str, str]:
    """What MLflow asks for of a server's address that has a user and a password; else nothing."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or parts.username is None or parts.password is None:
        return {}
    return {
        "MLFLOW_TRACKING_USERNAME": unquote(parts.username),
        "MLFLOW_TRACKING_PASSWORD": unquote(parts.password),
    }


def _without_login(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def hide() -> None:
    """Begin this program anew, with its passwords in the environment, if its command line has any."""
    arguments = sys.argv[1:]
    bare, variables = moved(arguments)
    if variables:
        interpreter = sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)]
        os.execve(sys.executable, [sys.executable, *interpreter, *bare], {**os.environ, **variables})  # noqa: S606  # this program
