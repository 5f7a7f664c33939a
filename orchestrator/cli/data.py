"""The commands about data: check, fetch, simulate."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from nrtune.orchestrator.cli import formats, option_texts, options, table_options
from nrtune.orchestrator.cli.options import INTERRUPTED
from nrtune.orchestrator.cli.panels import DATA, command, group
from nrtune.trainables.core.errors import UserError

app = group(help="Check data files, fetch or simulate some.")


@command(app, DATA, "nrtune data check lentiMPRA.h5 cagi5/")
def check(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="A lentiMPRA file, or a folder or file of variants; or data with the variants that they will be scored on.",
        ),
    ],
    columns: table_options.Columns = None,
    split_by: table_options.SplitBy = None,
    val_chroms: table_options.ValChroms = None,
    test_chroms: table_options.TestChroms = None,
    noise: options.Noise = None,
    cell_line: options.FolderCellLine = None,
    accept: options.Accept = None,
    format: formats.Asked = None,
    json: formats.AsJson = False,
) -> None:
    """Say what a file or folder holds, and what the audit of a search would find in it; an error leaves with code 2."""
    from nrtune.orchestrator.state.settings import StudySettings, load_settings
    from nrtune.orchestrator.views.data_check import check as checked
    from nrtune.orchestrator.views.tables import fitted, write_rows
    from nrtune.trainables.data.findings import refuse_errors

    form = formats.chosen(format, json)
    flags = {
        "columns": columns,
        "split_by": split_by,
        "val_chroms": val_chroms,
        "test_chroms": test_chroms,
        "noise": noise,
    }
    reading = load_settings(None, option_texts.given(flags), StudySettings).reading()
    found = checked(paths, cell_line, reading)
    if form == formats.Format.csv:
        write_rows([finding.as_json() for finding in found.findings], form)
    else:
        typer.echo(dumps(found.as_json(), indent=1) if form == formats.Format.json else fitted(found.text))
    refuse_errors(found.findings, option_texts.all_of(accept) or ())


@command(app, DATA, "nrtune data fetch", "nrtune data fetch lentimpra-k562 satmut", name="fetch")
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
    format: formats.Asked = None,
) -> None:
    """Fetch public data; the same command again goes on where it was interrupted, and does nothing once all is there."""
    from nrtune.orchestrator.cli import fetch

    if show_list or not names:
        if (form := formats.chosen(format)) == formats.Format.table:
            typer.echo(fetch.list_text())
        else:
            from nrtune.orchestrator.views.tables import write_rows

            write_rows(fetch.list_rows(), form)
        return
    if format is not None:
        raise UserError(f"--format {format}: is for the list of data sets; leave the names out, or --format")
    try:
        fetch.run_fetch(names, to, mirror)
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command again goes on from here", err=True)
        raise typer.Exit(INTERRUPTED) from None


@command(app, DATA, "nrtune data simulate --out simulated", name="simulate")
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
