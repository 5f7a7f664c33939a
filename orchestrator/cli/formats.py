"""--format: what a reading command writes to standard output, for people or for programs. There is nothing else on it then."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from nrtune.orchestrator.cli.panels import OUTPUT
from nrtune.trainables.core.errors import UserError


class Format(enum.StrEnum):
    """How an answer is written: table is for people; csv has its rows, json everything."""

    table = "table"
    csv = "csv"
    json = "json"


class TrialsFormat(enum.StrEnum):
    """The same, and parquet, which keeps the types and what the campaign is."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


Asked = Annotated[
    Format | None,
    typer.Option(
        "--format", help="table is for people, csv and json are for programs. [default: table]", rich_help_panel=OUTPUT
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --format json.", rich_help_panel=OUTPUT)]


def chosen(asked: Format | TrialsFormat | None, as_json: bool = False) -> str:
    """What --format and --json ask for. Raises UserError where they disagree."""
    if as_json and asked not in (None, Format.json):
        raise UserError(f"--json and --format {asked}: give one of them")
    return str(Format.json if as_json else asked or Format.table)
