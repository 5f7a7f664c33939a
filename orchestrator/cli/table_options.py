"""Options that say how a table is read, and how their texts are."""

from __future__ import annotations

from typing import Annotated

import typer

from nrtune.trainables.core.errors import UserError

Columns = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE=NAME,…",
        help="Columns of a table that have no known name, such as seq=oligo,activity=lfc,replicates=rep1+rep2; ROLE= for none."
        " Roles: seq, activity, noise, replicates, split, fold, name, rev, chrom.",
    ),
]
SplitBy = Annotated[
    str | None,
    typer.Option(
        metavar="chrom",
        help="Split a table by its chromosomes: those of --val-chroms, those of --test-chroms, and the others train.",
        autocompletion=lambda: ["chrom"],
    ),
]
ValChroms = Annotated[str | None, typer.Option(help="Chromosomes to validate on, such as chr8,chr9.")]
TestChroms = Annotated[str | None, typer.Option(help="Chromosomes to test on, such as chr10.")]


def columns_of(text: str | None) -> dict[str, str] | None:
    """ROLE=NAME pairs between commas; None where none were given. Raises UserError for one without an equals sign or a repeat."""
    if text is None:
        return None
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        role, equals, name = (side.strip() for side in part.partition("="))
        if not (role and equals):
            raise UserError(f"--columns {text}: give ROLE=NAME,ROLE=NAME, such as seq=sequence,activity=log2FC")
        if role in found:
            raise UserError(f"--columns {text}: names {role} twice; replicates are replicates=ONE+OTHER")
        found[role] = name
    return found
