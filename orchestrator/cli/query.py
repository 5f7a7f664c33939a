"""The commands that answer from trials that are there: how far they are, which are best, how sure that is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nrtune.orchestrator.cli import formats, options
from nrtune.orchestrator.cli.answers import comparisons_of, own_use_cases, print_best, print_front
from nrtune.orchestrator.cli.names import completing, families
from nrtune.orchestrator.cli.panels import KEEP, OUTPUT, READ, command, group
from nrtune.trainables.core.errors import UserError

app = group()


@command(app, READ, "nrtune status campaign")
def status(
    source: Annotated[str, typer.Argument(metavar="DIR", help="The campaign's folder; or an MLflow URI[#NAME].")],
    format: formats.Asked = None,
    json: formats.AsJson = False,
) -> None:
    """Show how far a campaign is: what has ended, how long is left, what is best so far, and what failed.

    csv has a row a family.
    """
    from json import dumps

    from nrtune.orchestrator.views.status import status_text
    from nrtune.orchestrator.views.status_record import status_record
    from nrtune.orchestrator.views.tables import fitted, write_rows

    form = formats.chosen(format, json)
    if form == formats.Format.table:
        typer.echo(fitted(status_text(source)))
        return
    if "://" in source:
        raise UserError(f"--format {form}: is for a campaign's folder; of a tracking server, ask for nrtune trials")
    told = status_record(Path(source))
    if form == formats.Format.json:
        typer.echo(dumps(told, indent=1))
    else:
        write_rows(told["families"], form)


@command(app, KEEP, "nrtune gc campaign --keep-top 1")
def gc(
    folder: options.Folder,
    keep_top: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of each use case whose checkpoints stay. [default: the campaign's]"),
    ] = None,
    keep: options.Keep = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete checkpoints that nothing needs any more: it says which, and asks."""
    from nrtune.orchestrator.state.retention import describe, plan_gc
    from nrtune.orchestrator.views.tables import fitted

    found = plan_gc(folder, keep_top, keep)
    typer.echo(fitted(describe(folder, found)))
    if not found.files and not found.folders:
        return
    if yes or (sys.stdin.isatty() and typer.confirm("Delete?", err=True)):
        found.carry_out()
        typer.echo("deleted")
    else:
        typer.echo("nothing was deleted; --yes does it")


@command(app, READ, "nrtune trials campaign --sort test/spearman", "nrtune trials campaign --format csv > trials.csv")
def trials(
    source: options.Source,
    family: Annotated[str | None, typer.Option(help="Only this family.", autocompletion=completing(families))] = None,
    sort: Annotated[str | None, typer.Option(metavar="METRIC", help="Sort by this column, largest first.")] = None,
    ascending: Annotated[bool, typer.Option("--ascending", help="Smallest first.")] = False,
    format: Annotated[
        formats.TrialsFormat,
        typer.Option(help="table shows a few columns, the others all.", rich_help_panel=OUTPUT),
    ] = formats.TrialsFormat.table,
    json: formats.AsJson = False,
) -> None:
    """List the trials that have ended."""
    from nrtune.orchestrator.views.status import trials_table, write_trials

    table = trials_table(source, family=family, sort=sort, ascending=ascending)
    asked = None if format == formats.TrialsFormat.table else format
    write_trials(source, table, formats.chosen(asked, json))


@command(
    app,
    READ,
    "nrtune best campaign --use-case low_confidence",
    "nrtune best campaign --pareto test/spearman:max noise/corr:min",
)
def best(
    source: options.Source,
    use_case: Annotated[str, options.use_case_option("A use case, or all of them.", "NAME|all")] = "all",
    select_on: options.CampaignSelectOn = None,
    use_cases: options.UseCases = None,
    format: formats.Asked = None,
    json: formats.AsJson = False,
    as_settings: Annotated[
        bool, typer.Option("--as-settings", help="A settings file that trains the use case's winner again.")
    ] = False,
    trial: Annotated[
        str | None, typer.Option(help="With --as-settings: this trial instead, on the campaign's own data.")
    ] = None,
    pareto: Annotated[
        bool,
        typer.Option("--pareto", help="The trials that no other beats in all objectives, the search's or those given."),
    ] = False,
    objectives: Annotated[
        list[str] | None,
        typer.Argument(metavar="METRIC:max|min", help="With --pareto: objectives, such as test/spearman:max."),
    ] = None,
) -> None:
    """Name the best trial for each use case, and what is significant."""
    form = formats.chosen(format, json)
    if trial is not None:
        if not as_settings or pareto or use_case != "all":
            raise UserError(f"--trial {trial}: is for --as-settings, in place of a --use-case")
        from nrtune.orchestrator.views.best import trial_settings

        typer.echo(trial_settings(source, trial), nl=False)
        return
    if pareto:
        if use_case != "all" or select_on is not None or use_cases is not None:
            raise UserError("--pareto goes by objectives; leave --use-case, --use-cases and --select-on out")
        print_front(source, objectives or [], form)
        return
    if objectives:
        raise UserError(f"{objectives[0]}: objectives are for --pareto")
    if as_settings:
        if use_case == "all":
            raise UserError("--as-settings is of one winner; name its --use-case")
        from nrtune.analysis.campaign import FlatConfig

        winner = comparisons_of(source, select_on, use_cases).find(use_case)
        typer.echo(FlatConfig(winner.family, winner.config).to_yaml(), nl=False)
        return
    print_best(source, use_case, form, select_on=select_on, own=use_cases)


@command(app, READ, "nrtune report campaign --open")
def report(
    source: options.Source,
    out: Annotated[
        Path | None, typer.Option(help="The report's folder. [default: DIR/report, or report for another source]")
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    select_on: options.CampaignSelectOn = None,
    use_cases: options.UseCases = None,
) -> None:
    """Write a report: one HTML page with winners, intervals and figures; also as Markdown and JSON."""
    from nrtune.analysis.report.report import write_report
    from nrtune.analysis.sources.trials import CampaignFolder

    comparisons = comparisons_of(source, select_on, use_cases)
    campaign = comparisons.source
    folder = out or (campaign.folder / "report" if isinstance(campaign, CampaignFolder) else Path("report"))
    page = write_report(comparisons, folder)
    typer.echo(str(page))
    from nrtune.orchestrator.state.locations import MLFLOW, tracker_of

    if isinstance(campaign, CampaignFolder) and tracker_of(campaign.folder) == MLFLOW:
        from nrtune.orchestrator.tracking.registry import log_report

        try:
            log_report(campaign, folder)
        except UserError as error:  # the report is there all the same
            typer.echo(f"it is not on MLflow's run: {error}", err=True)
    if open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


@command(app, READ, "nrtune ensemble campaign --top 3 --save ensemble.pt")
def ensemble(
    source: options.Source,
    use_case: Annotated[str, options.use_case_option("The use case whose best trials are put together.")] = "overall",
    top: Annotated[
        int | None, typer.Option(min=2, help="How many of its trials, by selection data. [default: 5]")
    ] = None,
    replicates: Annotated[
        bool, typer.Option("--replicates", help="All trainings of its winner instead, whatever their seeds.")
    ] = False,
    select_on: options.CampaignSelectOn = None,
    use_cases: options.UseCases = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE.pt", help="Write the mean as one model, for nrtune predict.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the ensembles' predictions. [default: they are not kept]")
    ] = None,
    format: formats.Asked = None,
) -> None:
    """Compare the mean, and the mean rank, of the best trials' predictions to the best single trial.

    With --save the mean becomes one file that holds its members, a model for `nrtune predict`, `nrtune register` and
    `nrtune.load_model`. Its metrics and what they were measured on stand in FILE.json.
    """
    from nrtune.analysis.sources.open import open_campaign
    from nrtune.analysis.uncertainty.ensemble import EnsembleComparison, store
    from nrtune.orchestrator.views.ensemble import ensemble_rows, ensemble_table
    from nrtune.orchestrator.views.tables import write_rows

    if replicates and top is not None:
        raise UserError("--replicates takes all trainings of the winner; leave --top out")
    campaign = open_campaign(source)
    if save is not None:
        from nrtune.orchestrator.inference.ensemble import check_place

        check_place(save, campaign, select_on)
    found = EnsembleComparison(
        campaign,
        use_case,
        top=top or 5,
        replicates=replicates,
        select_on=select_on,
        use_cases=own_use_cases(use_cases),
        own=use_cases,
    )
    paths: list[Path] = []
    if save is not None:
        from nrtune.orchestrator.inference.ensemble import save_ensemble

        paths += save_ensemble(found, campaign, save)
    form = formats.chosen(format)
    if form == formats.Format.table:
        ensemble_table(found, everything=save is not None)
    else:
        write_rows(ensemble_rows(found, everything=save is not None), form)
    for one in found.of_use_case() if out is not None else ():
        assert out is not None
        paths += store(one, out / one.way)
    for path in paths:
        typer.echo(str(path), err=form != formats.Format.table)
