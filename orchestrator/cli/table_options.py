"""Options that say how a table is read."""

from __future__ import annotations

from typing import Annotated

import typer

from nrtune.orchestrator.cli.panels import DATA

Columns = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE=NAME,…",
        help="Columns of a table that have no known name, such as seq=oligo,activity=lfc,replicates=rep1+rep2; ROLE= for none."
        " Roles: seq, activity, noise, replicates, split, fold, name, rev, chrom.",
        rich_help_panel=DATA,
    ),
]
SplitBy = Annotated[
    str | None,
    typer.Option(
        metavar="chrom",
        help="Split a table by its chromosomes: those of --val-chroms, those of --test-chroms, and the others train.",
        autocompletion=lambda: ["chrom"],
        rich_help_panel=DATA,
    ),
]
ValChroms = Annotated[
    str | None, typer.Option(help="Chromosomes to validate on, such as chr8,chr9.", rich_help_panel=DATA)
]
TestChroms = Annotated[str | None, typer.Option(help="Chromosomes to test on, such as chr10.", rich_help_panel=DATA)]
