"""What a list of processes would show."""

from __future__ import annotations

import pytest

from nrtune.orchestrator.cli.passwords import moved
from nrtune.orchestrator.state.locations import OPTUNA_VARIABLE, TRACKING_VARIABLE

SERVER, DATABASE = "http://me:hunter2@host:5000", "postgresql://me:a/b@c@db/x"


@pytest.mark.parametrize(
    ("arguments", "bare", "variables"),
    [
        (["search", "--tracking-uri", SERVER], ["search", "--tracking-uri", "http://me@host:5000"], {TRACKING_VARIABLE: SERVER}),
        ([f"--optuna-storage={DATABASE}"], ["--optuna-storage=postgresql://me@db/x"], {OPTUNA_VARIABLE: DATABASE}),
        (["best", "http://me:a%2Fb@host:5000#c", "--json"], ["best", "http://host:5000#c", "--json"],
         {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "a/b"}),
        (["status", "http://me@host:5000"], ["status", "http://me@host:5000"], {}),
        (["--tracking-uri", "http://host", "--out", "a=b"], ["--tracking-uri", "http://host", "--out", "a=b"], {}),
        (["--tracking-uri"], ["--tracking-uri"], {}),
    ],
)  # fmt: skip
def test_passwords_go_from_the_command_line_into_the_environment(arguments, bare, variables):
    assert moved(arguments) == (bare, variables)
