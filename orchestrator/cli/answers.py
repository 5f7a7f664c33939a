"""What several commands ask of a campaign's trials: the winners, the comparisons behind them, the front."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nrtune.orchestrator.cli.formats import Format
from nrtune.trainables.core.errors import UserError, suggest

if TYPE_CHECKING:
    from nrtune.analysis.selection.use_cases import UseCase
    from nrtune.analysis.uncertainty.comparison import Comparisons


def print_best(
    source: str,
    use_case: str,
    form: str = Format.table,
    *,
    select_on: str | None = None,
    own: Path | None = None,
) -> None:
    """Print the winner of a use case, or of all. Raises UserError for an unknown one."""
    from nrtune.orchestrator.views.best import best_json, best_rows, best_table, best_text
    from nrtune.orchestrator.views.tables import fitted, write_rows

    comparisons = comparisons_of(source, select_on, own, use_case)
    if form == Format.json:
        typer.echo(best_json(comparisons, use_case))
    elif form == Format.csv:
        write_rows(best_rows(comparisons, use_case), form)
    elif use_case == "all":
        best_table(comparisons)
    else:
        typer.echo(fitted(best_text(comparisons, use_case)))


def comparisons_of(source: str, select_on: str | None, own: Path | None, use_case: str = "all") -> Comparisons:
    """What compares a source's trials; own: a file of further use cases. Raises UserError for an unknown use case."""
    from nrtune.analysis.sources.open import open_campaign
    from nrtune.analysis.uncertainty.comparison import Comparisons
    from nrtune.orchestrator.views.waiting import Waiting

    use_cases = own_use_cases(own)
    if use_case != "all" and use_case not in use_cases:
        raise UserError(f"unknown use case {use_case!r}{suggest(use_case, [*use_cases, 'all'])}")
    return Comparisons(open_campaign(source), select_on=select_on, use_cases=use_cases, own=own, progress=Waiting())


def own_use_cases(own: Path | None) -> Mapping[str, UseCase]:
    """The known use cases, and those of a file. Raises UserError."""
    from nrtune.analysis.selection.use_cases import USE_CASES, load_use_cases

    return USE_CASES if own is None else load_use_cases(own)


def print_front(source: str, objectives: list[str], form: str) -> None:
    """Print the trials that no other beats in these objectives, or in the search's."""
    from nrtune.analysis.sources.open import open_campaign
    from nrtune.orchestrator.views.pareto import front_of, pareto_json, pareto_rows, pareto_table
    from nrtune.orchestrator.views.tables import write_rows

    campaign = open_campaign(source)
    front = front_of(campaign, objectives)
    if form == Format.json:
        typer.echo(pareto_json(campaign, front))
    elif form == Format.csv:
        write_rows(pareto_rows(campaign, front), form)
    else:
        pareto_table(front)
