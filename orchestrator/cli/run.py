"""A campaign run from the command line: what is said of it, with which answer it ends, and with which exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from nrtune.orchestrator.cli import query
from nrtune.orchestrator.cli.options import INTERRUPTED

if TYPE_CHECKING:
    from nrtune.orchestrator.state.settings import RunSettings

FAILURES = 1
"""The exit code where no trial has finished, or some wait for the next start: what follows in a script would miss them."""


def run(settings: RunSettings, *, answer: bool = True) -> None:
    """Run a campaign and say how it ended, with its answer; leaves the program where it was interrupted."""
    from nrtune.analysis.store.records import FINISHED
    from nrtune.orchestrator.campaign.prepare import prepare
    from nrtune.orchestrator.views.tables import fitted

    typer.echo("reading data", err=True)
    plan = prepare(settings)
    from nrtune.orchestrator.campaign.run import run_campaign  # what it imports takes seconds

    for note in plan.notes():
        typer.echo(fitted(f"  {note}"), err=True)
    outcome = run_campaign(plan)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(outcome.counts.items())) or "no trial"
    why = f" ({outcome.why})" if outcome.why not in ("", outcome.state) else ""
    confirming = ", ".join(f"{count} {status}" for status, count in sorted(outcome.confirming.items()))
    fresh = f"; with fresh seeds: {confirming}" if confirming else ""
    typer.echo(f"{outcome.state}{why}: {counts}{fresh}", err=True)
    from nrtune.analysis.wording import shell_path
    from nrtune.orchestrator.state.locations import MLFLOW, is_server, tracking_uri
    from nrtune.orchestrator.views.status import remarks, tracker_line

    for sentence in remarks(plan.folder):
        typer.echo(fitted(sentence), err=True)
    if answer and outcome.confirmed and outcome.why != "interrupted":
        _answer(settings, outcome.confirmed)
    code = 0 if outcome.counts.get(FINISHED) and not outcome.put_off else FAILURES
    if outcome.state == "interrupted":
        typer.echo("the same command again goes on from here", err=True)
        raise typer.Exit(INTERRUPTED if outcome.why == "interrupted" else code)
    typer.echo(tracker_line(plan.folder), err=True)
    if settings.tracker == MLFLOW and not is_server(tracking_uri(plan.folder)):
        typer.echo(f"  open it with: nrtune ui {shell_path(settings.out)}", err=True)
    if code:
        typer.echo(f"no trial finished; once their cause is mended: nrtune retry {shell_path(settings.out)}", err=True)
        raise typer.Exit(code)
    typer.echo(f"winners: nrtune best {shell_path(settings.out)}", err=True)


def _answer(settings: RunSettings, use_cases: Sequence[str]) -> None:
    """Say what a search says of each of these use cases, as `nrtune best` does."""
    from nrtune.orchestrator.views.best import answers
    from nrtune.orchestrator.views.tables import fitted

    for line in answers(query.comparisons_of(str(settings.out), None, getattr(settings, "use_cases", None)), use_cases):
        typer.echo(fitted(line), err=True)
