"""The command line: what runs campaigns; `query` has what is asked of them.

Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from nrtune.orchestrator.cli import options, query
from nrtune.trainables.core.errors import UserError

if TYPE_CHECKING:
    from nrtune.orchestrator.campaign.campaign import CampaignRun
    from nrtune.orchestrator.state.settings import RunSettings

S = TypeVar("S", bound="RunSettings")

app = typer.Typer(
    name="nrtune",
    help="Search hyperparameters of noise-resistant sequence-to-expression models on a Ray cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(query.app)
data_app = typer.Typer(help="Check data files, fetch or simulate some.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo's data and campaign.")] = Path("nrtune-demo"),
    trials: Annotated[int, typer.Option(min=1, help="Trials a family.")] = 3,
) -> None:
    """Run the main job on simulated data: three families, a few trials each, winners at the end."""
    from nrtune.orchestrator.campaign.search import Search
    from nrtune.orchestrator.state.settings import Settings
    from nrtune.trainables.data.simulate import HDF5_NAME, simulate, write_simulated

    data = out / "data"
    if not (data / HDF5_NAME).exists():  # written last
        typer.echo(f"simulating lentiMPRA data into {data}", err=True)
        write_simulated(simulate(4000), data)
    settings = Settings(data=data / HDF5_NAME, cagi5=data / "cagi5", out=out / "campaign", trials=trials, epochs=5)
    _run(Search, settings)
    query.print_best(str(out / "campaign"), "all", as_json=False)


@app.command()
def search(
    settings: options.SettingsFile = None,
    families: Annotated[
        str | None,
        typer.Option(help="Method families, separated by commas.", autocompletion=options.completing(options.families)),
    ] = None,
    data: options.Data = None,
    cagi5: options.Cagi5 = None,
    satmut: options.Satmut = None,
    out: options.Out = None,
    trials: Annotated[int | None, typer.Option(help="Trials a family. [default: 10]")] = None,
    allocation: Annotated[
        str | None,
        typer.Option(
            help="even: as many trials a family; adaptive: more for those that promise more. [default: even]",
            autocompletion=options.completing("allocation"),
        ),
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
    from nrtune.orchestrator.state.settings import Settings, load_settings

    flags |= {"families": options.comma_separated(families), "set": options.assignments(set)}
    flags["objective"] = objective or None
    loaded = load_settings(settings, flags, Settings)
    if print_settings:
        typer.echo(loaded.to_yaml(), nl=False)
        return
    from nrtune.orchestrator.campaign.search import Search

    _run(Search, loaded)


@app.command()
def study(
    settings: options.SettingsFile = None,
    only: Annotated[
        str | None, typer.Option(help="Names such as RS3, families or their codes, separated by commas. [default: all]")
    ] = None,
    data: options.Data = None,
    cagi5: options.Cagi5 = None,
    satmut: options.Satmut = None,
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
    from nrtune.orchestrator.state.settings import StudySettings, load_settings

    chosen = options.comma_separated(only)
    if chosen == ():
        raise UserError("--only is empty; give names such as RS3, families or their codes, or leave it out for all")
    loaded = load_settings(settings, flags | {"only": chosen}, StudySettings)
    if print_settings:
        typer.echo(loaded.to_yaml(), nl=False)
        return
    from nrtune.orchestrator.campaign.study import Study

    _run(Study, loaded)


@app.command()
def replicate(
    folder: options.Folder,
    top: Annotated[int | None, typer.Option(help="Finalists of each use case. [default: 5]")] = None,
    seeds: Annotated[int | None, typer.Option(help="Fresh seeds, the same for all. [default: 5]")] = None,
    use_case: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Use cases, separated by commas. [default: all]",
            autocompletion=options.completing("use_case"),
        ),
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
    from nrtune.orchestrator.state.settings import load_replication

    loaded = load_replication(folder, flags | {"use_case": options.comma_separated(use_case)})
    from nrtune.orchestrator.campaign.replication import Replication

    _run(Replication, loaded)


@data_app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A lentiMPRA file, or a folder of CAGI5 files.")],
    cell_line: Annotated[str | None, typer.Option(help="Cell line of a CAGI5 folder. [default: K562]")] = None,
) -> None:
    """Say what a file or folder holds, and what is wrong with it."""
    from nrtune.orchestrator.views.data_check import check_text
    from nrtune.orchestrator.views.tables import fitted

    typer.echo(fitted(check_text(path, cell_line)))


@data_app.command("fetch")
def fetch_data(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Data sets; without any, or with --list, their list."),
    ] = None,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.")] = Path("data"),
    mirror: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A server of the same files: a folder that was fetched to, served as it is."),
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the data sets and stop.")] = False,
) -> None:
    """Fetch public data; the same command again goes on where it was interrupted, and does nothing once all is there."""
    from nrtune.orchestrator.cli import fetch

    if show_list or not names:
        typer.echo(fetch.list_text())
        return
    try:
        fetch.run_fetch(names, to, mirror)
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command again goes on from here", err=True)
        raise typer.Exit(INTERRUPTED) from None


@data_app.command("simulate")
def simulate_data(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    n: Annotated[int, typer.Option("--n", help="Sequences.")] = 4000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 0,
    noise: Annotated[float, typer.Option(help="Scale of the measurement noise; 0 for none.")] = 1.0,
) -> None:
    """Simulate lentiMPRA measurements and saturation mutagenesis whose truth is known."""
    from nrtune.trainables.data.simulate import simulate, write_simulated

    hdf5, cagi5 = write_simulated(simulate(n, seed=seed, noise=noise), out)
    typer.echo(f"{hdf5}\n{cagi5}")


def _run(kind: Callable[[S], CampaignRun], settings: S) -> None:
    """Run a campaign and say how it ended; leaves the program where it was interrupted."""
    from nrtune.orchestrator.views.tables import fitted

    typer.echo("reading data", err=True)
    campaign = kind(settings)
    for note in campaign.notes():
        typer.echo(fitted(f"  {note}"), err=True)
    outcome = campaign.run()
    counts = ", ".join(f"{count} {status}" for status, count in sorted(outcome.counts.items())) or "no trial"
    why = f" ({outcome.why})" if outcome.why not in ("", outcome.state) else ""
    typer.echo(f"{outcome.state}{why}: {counts}", err=True)
    from nrtune.orchestrator.state.ledger import tracking_uri
    from nrtune.orchestrator.views.status import sharing_and_alike

    for sentence in sharing_and_alike(campaign.folder):
        typer.echo(fitted(sentence), err=True)
    if outcome.state == "interrupted":
        typer.echo("the same command again goes on from here", err=True)
        raise typer.Exit(INTERRUPTED if outcome.why == "interrupted" else 0)
    typer.echo(f"MLflow: {tracking_uri(campaign.folder)}\n  open it with: nrtune ui {settings.out}", err=True)
    typer.echo(f"winners: nrtune best {settings.out}", err=True)


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


def program() -> NoReturn:
    """Run `main` in a process of its own and end that: where Ray has run in it, without the destructors of its library.

    A thread of Ray's, worker.io, outlives ray.shutdown() and now and then reads what they free: a segmentation fault once
    all is done, on a busy machine after a Ctrl-C while Ray starts in one process of four. Ray ends its workers in this way.
    """
    try:
        main()
    except SystemExit as end:
        if "ray" not in sys.modules or not isinstance(end.code, int):
            raise
        atexit._run_exitfuncs()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            os._exit(end.code or 1)
        os._exit(end.code)


if __name__ == "__main__":
    program()
