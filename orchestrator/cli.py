"""The command line. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import enum
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from trainables.errors import UserError, suggest

if TYPE_CHECKING:
    from orchestrator.campaign import Outcome
    from orchestrator.settings import Settings

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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo's data and campaign.")] = Path("nrtune-demo"),
    trials: Annotated[int, typer.Option(min=1, help="Trials a family.")] = 3,
) -> None:
    """Run the main job on simulated data: three families, a few trials each, winners at the end."""
    from orchestrator.settings import Settings
    from trainables.data.simulate import HDF5_NAME, simulate, write_simulated

    data = out / "data"
    if not (data / HDF5_NAME).exists():  # written last
        typer.echo(f"simulating lentiMPRA data into {data}", err=True)
        write_simulated(simulate(4000), data)
    settings = Settings(data=data / HDF5_NAME, cagi5=data / "cagi5", out=out / "campaign", trials=trials, epochs=5)
    outcome = _search(settings)
    if outcome.state == "finished":
        _print_best(out / "campaign", "all", as_json=False)
        _say_where(out / "campaign")


@app.command()
def search(
    settings: Annotated[
        Path | None, typer.Argument(metavar="SETTINGS.yaml", help="Settings file; every flag overrides one field.")
    ] = None,
    families: Annotated[str | None, typer.Option(help="Method families, separated by commas.")] = None,
    data: Annotated[Path | None, typer.Option(help="lentiMPRA data: .h5, or a Prix Fixe .tsv.")] = None,
    cagi5: Annotated[Path | None, typer.Option(help="Folder of CAGI5 files and references.json.")] = None,
    out: Annotated[Path | None, typer.Option(help="The campaign's folder; the same again goes on with it.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials a family. [default: 10]")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs a trial. [default: the preset's]")] = None,
    preset: Annotated[str | None, typer.Option(help="Model size and budget: small or study. [default: small]")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bf16. [default: auto]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice. [default: 0]")] = None,
    select_on: Annotated[
        str | None,
        typer.Option(
            help="Data that winners are selected on: release, val or challenge. [default: release, or val without --cagi5]"
        ),
    ] = None,
    cell_line: Annotated[
        str | None, typer.Option(help="K562, HepG2 or simulated. [default: as the data file's name says, else K562]")
    ] = None,
    noise: Annotated[
        str | None, typer.Option(help="Noise of a .tsv: auto, orientation, replicates or none. [default: auto]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The campaign's name. [default: the folder's]")] = None,
    max_concurrent: Annotated[int | None, typer.Option(help="Trials at a time. [default: as many as fit]")] = None,
    cpus_per_trial: Annotated[int | None, typer.Option(help="CPU cores a trial. [default: 1]")] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(help="GPUs a trial, fractions allowed. [default: 1 where there are any]")
    ] = None,
    time_budget: Annotated[float | None, typer.Option(help="Minutes, then running trials are put off.")] = None,
    trial_time_limit: Annotated[float | None, typer.Option(help="Minutes a trial may take before it fails.")] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(help="MLflow tracking URI. [default: a SQLite file in the campaign's folder]")
    ] = None,
    optuna_storage: Annotated[
        str | None, typer.Option(help="Optuna database URL. [default: a journal file in the campaign's folder]")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster, such as auto. [default: this machine]")] = None,
    resume: Annotated[bool | None, typer.Option("--resume", help="Go on with --out, settings included.")] = None,
    print_settings: Annotated[
        bool, typer.Option("--print-settings", help="Print the settings as YAML and stop.")
    ] = False,
) -> None:
    """Search method families; the same command again goes on where it was interrupted."""
    from orchestrator.settings import load_settings

    flags = {
        key: value for key, value in locals().items() if key not in ("settings", "print_settings", "load_settings")
    }
    if families is not None:
        flags["families"] = tuple(part.strip() for part in families.split(",") if part.strip())
    loaded = load_settings(settings, flags)
    if print_settings:
        typer.echo(loaded.to_yaml(), nl=False)
        return
    outcome = _search(loaded)
    assert loaded.out is not None
    _say_where(loaded.out)
    if outcome.state == "finished":
        typer.echo(f"winners: nrtune best {loaded.out}", err=True)


@app.command()
def status(folder: Folder) -> None:
    """Show how far a campaign is."""
    from orchestrator.views import status_text

    typer.echo(status_text(folder))


@app.command()
def trials(
    folder: Folder,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    sort: Annotated[str | None, typer.Option(metavar="METRIC", help="Sort by this column, largest first.")] = None,
    ascending: Annotated[bool, typer.Option("--ascending", help="Smallest first.")] = False,
    format: Annotated[Format, typer.Option(help="table shows a few columns, the others all.")] = Format.table,
) -> None:
    """List the trials that have ended."""
    from orchestrator.views import trials_table, write_trials

    table = trials_table(folder, family=family, sort=sort, ascending=ascending)
    write_trials(table, format.value)


@app.command()
def best(
    folder: Folder,
    use_case: Annotated[str, typer.Option(metavar="NAME|all", help="A use case, or all of them.")] = "all",
    select_on: Annotated[str | None, typer.Option(help="release, val or challenge. [default: the campaign's]")] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything about the winners, for programs.")] = False,
) -> None:
    """Name the best trial for each use case."""
    _print_best(folder, use_case, as_json=json, select_on=select_on)


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


def _search(settings: Settings) -> Outcome:
    """Run a search; leaves the program on Ctrl-C."""
    typer.echo("reading data", err=True)
    from orchestrator.campaign import Search

    search = Search(settings)
    for note in search.notes():
        typer.echo(f"  {note}", err=True)
    outcome = search.run()
    counts = ", ".join(f"{count} {status}" for status, count in sorted(outcome.counts.items())) or "no trial"
    why = f" ({outcome.why})" if outcome.why not in ("", outcome.state) else ""
    typer.echo(f"{outcome.state}{why}: {counts}", err=True)
    if outcome.state == "interrupted":
        typer.echo("the same command again goes on from here", err=True)
        raise typer.Exit(INTERRUPTED if outcome.why == "interrupted" else 0)
    return outcome


def _print_best(folder: Path, use_case: str, *, as_json: bool, select_on: str | None = None) -> None:
    from analysis.winners import USE_CASES
    from orchestrator.views import best_json, best_table, best_text

    if use_case != "all" and use_case not in USE_CASES:
        raise UserError(f"unknown use case {use_case!r}{suggest(use_case, [*USE_CASES, 'all'])}")
    if as_json:
        typer.echo(best_json(folder, use_case, select_on))
    elif use_case == "all":
        best_table(folder, select_on)
    else:
        typer.echo(best_text(folder, use_case, select_on))


def _say_where(folder: Path) -> None:
    from orchestrator.views import tracking_uri

    typer.echo(f"MLflow: {tracking_uri(folder)}\n  open it with: nrtune ui {folder}", err=True)


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
