"""A campaign run from the command line: what is said of it, with which answer it ends, and with which exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from nrtune.orchestrator.cli.answers import comparisons_of
from nrtune.orchestrator.cli.options import INTERRUPTED

if TYPE_CHECKING:
    from pathlib import Path

    from nrtune.orchestrator.campaign.run import Outcome
    from nrtune.orchestrator.state.settings import RunSettings

FAILURES = 1
"""The exit code where no trial has finished, or some wait for the next start: what follows in a script would miss them."""


def run(settings: RunSettings, *, answer: bool = True) -> None:
    """Run a campaign and say how it ended, with its answer; leaves the program where it was interrupted."""
    from nrtune.orchestrator.campaign.prepare import prepare
    from nrtune.orchestrator.views.tables import fitted

    typer.echo("reading data", err=True)
    plan = prepare(settings)
    from nrtune.orchestrator.campaign.run import run_campaign  # what it imports takes seconds

    for note in plan.notes():
        typer.echo(fitted(f"  {note}"), err=True)
    say_end(settings, plan.folder, run_campaign(plan), answer=answer)


def say_end(settings: RunSettings, place: Path, outcome: Outcome, *, answer: bool = True) -> None:
    """Say how the campaign in a place ended: why trials failed, what its verdicts are, and what to run next.

    Leaves the program where it was interrupted, and where no trial finished.
    """
    from nrtune.analysis.sources.open import open_folder
    from nrtune.analysis.store.records import FINISHED
    from nrtune.analysis.wording import shell_path
    from nrtune.orchestrator.state.locations import MLFLOW, is_server, tracking_uri
    from nrtune.orchestrator.views.failures import failure_causes
    from nrtune.orchestrator.views.status import remarks, tracker_line
    from nrtune.orchestrator.views.tables import fitted

    counts = ", ".join(f"{count} {status}" for status, count in sorted(outcome.counts.items())) or "no trial"
    why = f" ({outcome.why})" if outcome.why not in ("", outcome.state) else ""
    confirming = ", ".join(f"{count} {status}" for status, count in sorted(outcome.confirming.items()))
    fresh = f"; with fresh seeds: {confirming}" if confirming else ""
    typer.echo(f"{outcome.state}{why}: {counts}{fresh}", err=True)
    records, folder = open_folder(place).records(), shell_path(settings.out)
    for sentence in [*remarks(place), *(f"failed: {cause}" for cause in failure_causes(records))]:
        typer.echo(fitted(sentence), err=True)
    finished = bool(outcome.counts.get(FINISHED))
    commands: list[str] = []
    if answer and finished and outcome.why != "interrupted":
        commands = _answer(settings, outcome.confirmed)
    code = 0 if finished and not outcome.put_off else FAILURES
    if outcome.state == "interrupted":
        typer.echo("the same command again goes on from here", err=True)
        raise typer.Exit(INTERRUPTED if outcome.why == "interrupted" else code)
    typer.echo(tracker_line(place), err=True)
    if settings.tracker == MLFLOW and not is_server(tracking_uri(place)):
        typer.echo(f"  open it with: nrtune ui {folder}", err=True)
    if not finished:
        typer.echo(f"no trial finished; once their cause is mended: nrtune retry {folder}", err=True)
        raise typer.Exit(code)
    if answer:
        commands = [*commands, f"nrtune report --open {folder}", f"nrtune best {folder}"][:2]
        typer.echo("\n".join(["next:", *(f"  {command}" for command in commands)]), err=True)  # whole, to be copied
    if code:
        raise typer.Exit(code)


def _answer(settings: RunSettings, confirmed: Sequence[str]) -> list[str]:
    """Say what the verdicts are, of the use cases that are confirmed, or of all; returned are commands that they recommend."""
    from nrtune.analysis.report.advice import next_steps
    from nrtune.orchestrator.views.best import answers
    from nrtune.orchestrator.views.tables import fitted

    asked = confirmed or getattr(settings, "use_case", ())
    comparisons = comparisons_of(str(settings.out), None, getattr(settings, "use_cases", None))
    found, missing = comparisons.compare_all()
    names = [name for name in asked or found if name in found]
    for line in answers(comparisons, names) if names else [*missing.values()][:1]:
        typer.echo(fitted(line), err=True)
    steps = next_steps(comparisons, {name: found[name] for name in names})
    return [step.command for step in steps if step.command.startswith("nrtune replicate ")]
