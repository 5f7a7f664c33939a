"""The command line. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from orchestrator import options
from trainables.errors import UserError, suggest

if TYPE_CHECKING:
    from orchestrator.campaign import CampaignRun
    from orchestrator.settings import RunSettings

S = TypeVar("S", bound="RunSettings")

app = typer.Typer(
    name="nrtune",
    help="Search hyperparameters of noise-resistant sequence-to-expression models on a Ray cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Check data files, or simulate some.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Format(enum.StrEnum):
    """How `nrtune trials` writes its table."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("nrtune"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The campaign's folder (a search's --out).")]


Source = Annotated[
    str,
    typer.Argument(
        metavar="DIR", help="The campaign's folder; or an MLflow URI[#NAME], a .parquet export, the study's .csv."
    ),
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo's data and campaign.")] = Path("nrtune-demo"),
    trials: Annotated[int, typer.Option(min=1, help="Trials a family.")] = 3,
) -> None:
    """Run the main job on simulated data: three families, a few trials each, winners at the end."""
    from orchestrator.search import Search
    from orchestrator.settings import Settings
    from trainables.data.simulate import HDF5_NAME, simulate, write_simulated

    data = out / "data"
    if not (data / HDF5_NAME).exists():  # written last
        typer.echo(f"simulating lentiMPRA data into {data}", err=True)
        write_simulated(simulate(4000), data)
    settings = Settings(data=data / HDF5_NAME, cagi5=data / "cagi5", out=out / "campaign", trials=trials, epochs=5)
    _run(Search, settings)
    _print_best(str(out / "campaign"), "all", as_json=False)


@app.command()
def search(
    settings: options.SettingsFile = None,
    families: Annotated[str | None, typer.Option(help="Method families, separated by commas.")] = None,
    data: options.Data = None,
    cagi5: options.Cagi5 = None,
    out: options.Out = None,
    trials: Annotated[int | None, typer.Option(help="Trials a family. [default: 10]")] = None,
    allocation: Annotated[
        str | None,
        typer.Option(help="even: as many trials a family; adaptive: more for those that promise more. [default: even]"),
    ] = None,
    min_trials: Annotated[
        int | None, typer.Option(help="Trials that each family gets with adaptive allocation. [default: 3]")
    ] = None,
    epochs: options.Epochs = None,
    preset: options.Preset = None,
    precision: options.Precision = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice. [default: 0]")] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Fix a parameter of every trial, such as encoder=factorized or encoder.dropout=0.3.",
        ),
    ] = None,
    around: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR/TRIAL", help="Configuration that the family ablation moves away from."),
    ] = None,
    scheduler: options.Scheduler = None,
    sampler: options.Sampler = None,
    objective: options.Objective = None,
    select_on: options.SelectOn = None,
    cell_line: options.CellLine = None,
    noise: options.Noise = None,
    name: options.Name = None,
    max_concurrent: options.MaxConcurrent = None,
    cpus_per_trial: options.CpusPerTrial = None,
    gpus_per_trial: options.GpusPerTrial = None,
    time_budget: options.TimeBudget = None,
    trial_time_limit: options.TrialTimeLimit = None,
    keep_top: options.KeepTop = None,
    keep: options.Keep = None,
    tracking_uri: options.TrackingUri = None,
    optuna_storage: Annotated[
        str | None, typer.Option(help="Optuna database URL. [default: a journal file in the campaign's folder]")
    ] = None,
    address: options.Address = None,
    resume: options.Resume = None,
    print_settings: options.PrintSettings = False,
) -> None:
    """Search method families; the same command again goes on where it was interrupted."""
    flags = {key: value for key, value in locals().items() if key not in ("settings", "print_settings")}
    from orchestrator.settings import Settings, load_settings

    flags |= {"families": options.comma_separated(families), "set": options.assignments(set)}
    flags["objective"] = objective or None
    loaded = load_settings(settings, flags, Settings)
    if print_settings:
        typer.echo(loaded.to_yaml(), nl=False)
        return
    from orchestrator.search import Search

    _run(Search, loaded)


@app.command()
def study(
    settings: options.SettingsFile = None,
    only: Annotated[
        str | None, typer.Option(help="Names such as RS3, families or their codes, separated by commas. [default: all]")
    ] = None,
    data: options.Data = None,
    cagi5: options.Cagi5 = None,
    out: options.Out = None,
    epochs: options.Epochs = None,
    preset: options.Preset = None,
    precision: options.Precision = None,
    select_on: options.SelectOn = None,
    cell_line: options.CellLine = None,
    noise: options.Noise = None,
    name: options.Name = None,
    max_concurrent: options.MaxConcurrent = None,
    cpus_per_trial: options.CpusPerTrial = None,
    gpus_per_trial: options.GpusPerTrial = None,
    time_budget: options.TimeBudget = None,
    trial_time_limit: options.TrialTimeLimit = None,
    keep_top: options.KeepTop = None,
    keep: options.Keep = None,
    tracking_uri: options.TrackingUri = None,
    address: options.Address = None,
    resume: options.Resume = None,
    print_settings: options.PrintSettings = False,
) -> None:
    """Train the study's 75 configurations and its baseline, each with its name and seed, each to its end."""
    flags = {key: value for key, value in locals().items() if key not in ("settings", "print_settings")}
    from orchestrator.settings import StudySettings, load_settings

    chosen = options.comma_separated(only)
    if chosen == ():
        raise UserError("--only is empty; give names such as RS3, families or their codes, or leave it out for all")
    loaded = load_settings(settings, flags | {"only": chosen}, StudySettings)
    if print_settings:
        typer.echo(loaded.to_yaml(), nl=False)
        return
    from orchestrator.study import Study

    _run(Study, loaded)


@app.command()
def replicate(
    folder: Folder,
    top: Annotated[int | None, typer.Option(help="Finalists of each use case. [default: 5]")] = None,
    seeds: Annotated[int | None, typer.Option(help="Fresh seeds, the same for all. [default: 5]")] = None,
    use_case: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="Use cases, separated by commas. [default: all]")
    ] = None,
    max_concurrent: options.MaxConcurrent = None,
    cpus_per_trial: options.CpusPerTrial = None,
    gpus_per_trial: options.GpusPerTrial = None,
    time_budget: options.TimeBudget = None,
    trial_time_limit: options.TrialTimeLimit = None,
    address: options.Address = None,
) -> None:
    """Train the best trials of each use case again, and the baseline, with fresh seeds.

    The same command again goes on where it was interrupted. How to run is as in the search where no option says otherwise.
    """
    flags = {key: value for key, value in locals().items() if key != "folder"}
    from orchestrator.settings import load_replication

    loaded = load_replication(folder, flags | {"use_case": options.comma_separated(use_case)})
    from orchestrator.replication import Replication

    _run(Replication, loaded)


@app.command()
def status(
    source: Annotated[str, typer.Argument(metavar="DIR", help="The campaign's folder; or an MLflow URI[#NAME].")],
) -> None:
    """Show how far a campaign is."""
    from orchestrator.views import status_text

    typer.echo(status_text(source))


@app.command()
def gc(
    folder: Folder,
    keep_top: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of each use case whose checkpoints stay. [default: the campaign's]"),
    ] = None,
    keep: options.Keep = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete checkpoints that nothing needs any more: it says which, and asks."""
    from orchestrator.checkpoints import describe, plan_gc

    found = plan_gc(folder, keep_top, keep)
    typer.echo(describe(folder, found))
    if not found.files and not found.folders:
        return
    if yes or (sys.stdin.isatty() and typer.confirm("Delete?", err=True)):
        found.carry_out()
        typer.echo("deleted")
    else:
        typer.echo("nothing was deleted; --yes does it")


@app.command()
def trials(
    source: Source,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    sort: Annotated[str | None, typer.Option(metavar="METRIC", help="Sort by this column, largest first.")] = None,
    ascending: Annotated[bool, typer.Option("--ascending", help="Smallest first.")] = False,
    format: Annotated[Format, typer.Option(help="table shows a few columns, the others all.")] = Format.table,
) -> None:
    """List the trials that have ended."""
    from orchestrator.views import trials_table, write_trials

    table = trials_table(source, family=family, sort=sort, ascending=ascending)
    write_trials(source, table, format.value)


@app.command()
def best(
    source: Source,
    use_case: Annotated[str, typer.Option(metavar="NAME|all", help="A use case, or all of them.")] = "all",
    select_on: Annotated[str | None, typer.Option(help="release, val or challenge. [default: the campaign's]")] = None,
    use_cases: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="Use cases of your own, beside the known ones.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything about the winners, for programs.")] = False,
    pareto: Annotated[
        bool,
        typer.Option("--pareto", help="The trials that no other beats in all objectives, the search's or those given."),
    ] = False,
    objectives: Annotated[
        list[str] | None,
        typer.Argument(metavar="METRIC:max|min", help="With --pareto: objectives, such as test/spearman:max."),
    ] = None,
) -> None:
    """Name the best trial for each use case, and what can be told from luck."""
    if pareto:
        if use_case != "all" or select_on is not None or use_cases is not None:
            raise UserError("--pareto goes by objectives; leave --use-case, --use-cases and --select-on out")
        _print_front(source, objectives or [], as_json=json)
        return
    if objectives:
        raise UserError(f"{objectives[0]}: objectives are for --pareto")
    _print_best(source, use_case, as_json=json, select_on=select_on, own=use_cases)


@app.command()
def report(
    source: Source,
    out: Annotated[
        Path | None, typer.Option(help="The report's folder. [default: DIR/report, or report for another source]")
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    select_on: Annotated[str | None, typer.Option(help="release, val or challenge. [default: the campaign's]")] = None,
    use_cases: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="Use cases of your own, beside the known ones.")
    ] = None,
) -> None:
    """Write a report: one HTML page with winners, intervals and figures; also as Markdown and JSON."""
    from analysis import Campaign, open_campaign
    from analysis.comparison import Comparisons
    from analysis.report import write_report
    from analysis.winners import USE_CASES, load_use_cases

    known = USE_CASES if use_cases is None else load_use_cases(use_cases)
    campaign = open_campaign(source)
    folder = out or (campaign.folder / "report" if isinstance(campaign, Campaign) else Path("report"))
    page = write_report(Comparisons(campaign, select_on=select_on, use_cases=known), folder)
    typer.echo(str(page))
    if open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


@app.command()
def ensemble(
    source: Source,
    use_case: Annotated[
        str, typer.Option(metavar="NAME", help="The use case whose best trials are put together.")
    ] = "overall",
    top: Annotated[int, typer.Option(min=2, help="How many of its trials, by selection data.")] = 5,
    select_on: Annotated[str | None, typer.Option(help="release, val or challenge. [default: the campaign's]")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the ensembles' predictions. [default: they are not kept]")
    ] = None,
) -> None:
    """Compare the mean, and the mean rank, of the best trials' predictions to the best single trial."""
    from analysis import open_campaign
    from analysis.ensemble import ensembles, store
    from orchestrator.best_view import ensemble_table

    found = ensembles(open_campaign(source), use_case, top=top, select_on=select_on)
    ensemble_table(found, use_case)
    for one in found if out is not None else ():
        assert out is not None
        for path in store(one, out / one.way):
            typer.echo(str(path))


@app.command("import-published")
def import_published(
    table: Annotated[Path, typer.Argument(metavar="published_trials.csv", help="The study's table.")],
    out: Annotated[Path, typer.Option(help="The campaign's folder, to be made.")],
) -> None:
    """Make a campaign folder of the study's own table, so that every command and the MLflow UI work on it."""
    from orchestrator.published_import import import_published as import_table

    count = import_table(table, out)
    typer.echo(f"{count} trials\n  winners: nrtune best {out}\n  MLflow: nrtune ui {out}", err=True)


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="CSV, TSV (plain or .gz) or Parquet.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER", help="A second such file, to compare the first with.")
    ] = None,
    cagi5: options.Cagi5 = None,
    test: Annotated[bool, typer.Option("--test", help="Score a table of test predictions instead.")] = False,
    cell_line: Annotated[
        str | None, typer.Option(help="Cell line whose elements are averaged. [default: as the folder says, else K562]")
    ] = None,
    resamples: Annotated[int, typer.Option(help="Resamples an interval is made from.")] = 10_000,
    block: Annotated[int, typer.Option(help="Base pairs of a block of variants that is drawn.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Score any model's predictions as nrtune scores its own, with 95 % intervals; two files are compared.

    With --cagi5 columns element, pos, ref, alt, variant_effect and, if there, chrom; with --test prediction, activity and,
    if there, aleatoric_std. Other columns do not matter.
    """
    from analysis.intervals import Resampling
    from orchestrator.data_check import cell_line_in
    from orchestrator.score_view import check_options, score_text

    check_options(cagi5, test, cell_line)
    how = Resampling(resamples=resamples, block=block)
    line = cell_line or ("K562" if cagi5 is None else cell_line_in(cagi5))
    paths = [predictions] if other is None else [predictions, other]
    typer.echo(score_text(paths, cagi5, line, how, as_json=json))


@app.command()
def ui(
    folder: Folder,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Serve the campaign's MLflow UI on loopback until Ctrl-C."""
    from orchestrator.views import serve_mlflow

    raise typer.Exit(serve_mlflow(folder, port))


@data_app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A lentiMPRA file, or a folder of CAGI5 files.")],
    cell_line: Annotated[str | None, typer.Option(help="Cell line of a CAGI5 folder. [default: K562]")] = None,
) -> None:
    """Say what a file or folder holds, and what is wrong with it."""
    from orchestrator.data_check import check_text

    typer.echo(check_text(path, cell_line))


@data_app.command("simulate")
def simulate_data(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    n: Annotated[int, typer.Option("--n", help="Sequences.")] = 4000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 0,
    noise: Annotated[float, typer.Option(help="Scale of the measurement noise; 0 for none.")] = 1.0,
) -> None:
    """Simulate lentiMPRA measurements and saturation mutagenesis whose truth is known."""
    from trainables.data.simulate import simulate, write_simulated

    hdf5, cagi5 = write_simulated(simulate(n, seed=seed, noise=noise), out)
    typer.echo(f"{hdf5}\n{cagi5}")


def _run(kind: Callable[[S], CampaignRun], settings: S) -> None:
    """Run a campaign and say how it ended; leaves the program where it was interrupted."""
    typer.echo("reading data", err=True)
    campaign = kind(settings)
    for note in campaign.notes():
        typer.echo(f"  {note}", err=True)
    outcome = campaign.run()
    counts = ", ".join(f"{count} {status}" for status, count in sorted(outcome.counts.items())) or "no trial"
    why = f" ({outcome.why})" if outcome.why not in ("", outcome.state) else ""
    typer.echo(f"{outcome.state}{why}: {counts}", err=True)
    from orchestrator.views import sharing_and_alike, tracking_uri

    for sentence in sharing_and_alike(campaign.folder):
        typer.echo(sentence, err=True)
    if outcome.state == "interrupted":
        typer.echo("the same command again goes on from here", err=True)
        raise typer.Exit(INTERRUPTED if outcome.why == "interrupted" else 0)
    typer.echo(f"MLflow: {tracking_uri(campaign.folder)}\n  open it with: nrtune ui {settings.out}", err=True)
    typer.echo(f"winners: nrtune best {settings.out}", err=True)


def _print_best(
    source: str, use_case: str, *, as_json: bool, select_on: str | None = None, own: Path | None = None
) -> None:
    from analysis import open_campaign
    from analysis.comparison import Comparisons
    from analysis.winners import USE_CASES, load_use_cases
    from orchestrator.best_view import best_json, best_table, best_text

    use_cases = USE_CASES if own is None else load_use_cases(own)
    if use_case != "all" and use_case not in use_cases:
        raise UserError(f"unknown use case {use_case!r}{suggest(use_case, [*use_cases, 'all'])}")
    comparisons = Comparisons(open_campaign(source), select_on=select_on, use_cases=use_cases)
    if as_json:
        typer.echo(best_json(comparisons, use_case))
    elif use_case == "all":
        best_table(comparisons)
    else:
        typer.echo(best_text(comparisons, use_case))


def _print_front(source: str, objectives: list[str], *, as_json: bool) -> None:
    from analysis import open_campaign
    from orchestrator.pareto_view import front_of, pareto_json, pareto_table

    campaign = open_campaign(source)
    front = front_of(campaign, objectives)
    if as_json:
        typer.echo(pareto_json(campaign, front))
    else:
        pareto_table(front)


def main() -> NoReturn:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(f"nrtune: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)


if __name__ == "__main__":
    main()
