"""The command line.

`campaigns` begins them, `continued` goes on with them, `query` asks of them, `models` has what is about models, `data` what is
about data, `slurm` makes jobs of them. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NoReturn

import typer

from nrtune.orchestrator.cli import campaigns, continued, data, models, passwords, query, slurm
from nrtune.orchestrator.cli.options import INTERRUPTED
from nrtune.orchestrator.cli.panels import KEEP, RUN, group
from nrtune.orchestrator.lifecycle.terminal import take_streams
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.outside_text import visible
from nrtune.trainables.core.shape import DamagedWarning

app = group(
    name="nrtune",
    help="Search hyperparameters of noise-resistant sequence-to-expression models on a Ray cluster.",
    pretty_exceptions_enable=False,
    context_settings={"color": True},  # click leaves texts as they are: streams show what is a control character
)
app.add_typer(campaigns.app)
app.add_typer(continued.app)
app.add_typer(query.app)
app.add_typer(models.app)
app.add_typer(data.app, name="data", rich_help_panel=KEEP)
app.add_typer(slurm.app, name="slurm", rich_help_panel=RUN)


NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What a file system says of a file that is not the user's to read or write."""


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


@contextlib.contextmanager
def _damage_said() -> Iterator[None]:
    """What is damaged, and left out, is one line each on standard error, once."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=DamagedWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **further: Any) -> None:
            if not issubclass(category, DamagedWarning):
                usual(message, category, *where, **further)
            elif str(message) not in said:
                said.add(str(message))
                typer.echo(f"nrtune: warning: {message}", err=True)

        warnings.showwarning = show
        yield


def main() -> NoReturn:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    try:
        with _damage_said():
            app()
    except UserError as error:
        typer.echo(f"nrtune: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in NOT_ALLOWED:
            raise
        typer.echo(
            f"nrtune: {visible(str(error.filename or 'a file'))}: can't be written or read ({error.strerror})", err=True
        )
        sys.exit(2)
    sys.exit(0)


def program() -> NoReturn:
    """Run `main` in a process of its own and end that: where Ray has run in it, without the destructors of its library.

    A polite kill and a terminal that closes are as Ctrl-C, unless they are to be ignored, as by nohup.

    A thread of Ray's, worker.io, outlives ray.shutdown() and now and then reads what they free: a segmentation fault once
    all is done, on a busy machine after a Ctrl-C while Ray starts in one process of four. Ray ends its workers in this way.
    """
    passwords.hide()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    take_streams()
    code = _code_of(main)
    code = _code_of(sys.stdout.flush) or code
    sys.stderr.flush()
    if "ray" not in sys.modules:
        sys.exit(code)
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(code)


def _code_of(call: Callable[[], object]) -> int:
    """The exit code with which something ends."""
    try:
        call()
    except SystemExit as end:
        if isinstance(end.code, int):
            return end.code
        raise
    except UserError as error:
        typer.echo(f"nrtune: {error}", err=True)
        return 2
    return 0


if __name__ == "__main__":
    program()
