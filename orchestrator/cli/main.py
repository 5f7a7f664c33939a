"""The command line.

`campaigns` runs them, `query` asks of them, `models` has what is about models, `data` what is about data. Results go to
standard output, everything else to standard error.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Annotated, NoReturn

import typer

from nrtune.orchestrator.cli import campaigns, data, models, query
from nrtune.orchestrator.cli.options import INTERRUPTED
from nrtune.trainables.core.errors import UserError

app = typer.Typer(
    name="nrtune",
    help="Search hyperparameters of noise-resistant sequence-to-expression models on a Ray cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(campaigns.app)
app.add_typer(query.app)
app.add_typer(models.app)
app.add_typer(data.app, name="data")


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
