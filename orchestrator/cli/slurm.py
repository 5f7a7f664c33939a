"""`nrtune slurm`: searches as jobs of a SLURM cluster."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from nrtune.orchestrator.cli.panels import CLUSTER, command, group
from nrtune.trainables.core.errors import UserError, suggest

app = group(help="Run searches as jobs of a SLURM cluster.")

COMMANDS = ("search", "study", "replicate")
"""What a job can run: the same again goes on, so that a job that starts anew does."""

WAITING_SECONDS = 5.0
"""Between two looks whether a campaign is free."""

PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Options behind the command are the command's."""

Command = Annotated[list[str], typer.Argument(metavar="COMMAND [OPTIONS]...", help="search, study or replicate.")]


@command(
    app,
    CLUSTER,
    "nrtune slurm submit --nodes 2 --gpus-per-node 4 search --out campaign …",
    context_settings=PASSED_ON,
)
def submit(
    context: typer.Context,
    command: Command,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes; Ray joins them.")] = 1,
    cpus: Annotated[
        int | None, typer.Option("--cpus-per-node", min=1, help="CPUs of each node. [default: the site's]")
    ] = None,
    gpus: Annotated[
        int | None, typer.Option("--gpus-per-node", min=1, help="GPUs of each node. [default: none]")
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--time", metavar="D-HH:MM:SS", help="Time limit of each job. [default: the site's]")
    ] = None,
    grace: Annotated[
        int, typer.Option(min=60, help="Seconds before the time limit at which the search is told to stop.")
    ] = 300,
    jobs: Annotated[
        int, typer.Option(min=1, help="Jobs one after another; as long as one ends unfinished the next goes on.")
    ] = 1,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Any other option of sbatch, such as partition=gpu or mem=64G."),
    ] = None,
    setup: Annotated[
        list[str] | None, typer.Option(metavar="LINE", help="A line of shell ahead, such as 'module load cuda'.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the script and stop.")] = False,
) -> None:
    """Show the batch script of a search, and submit it.

    Behind the job's options comes the command: nrtune slurm submit --nodes 2 search --out campaign …

    Jobs of one campaign run one after another, however many are submitted.
    """
    from nrtune.analysis.wording import shell_path
    from nrtune.orchestrator.execution import slurm_script
    from nrtune.orchestrator.state.locations import SLURM_FOLDER
    from nrtune.trainables.core.files import write_atomically

    campaign = _campaign(context, command).absolute()
    folder = campaign / SLURM_FOLDER
    job = slurm_script.SlurmJob(
        name=slurm_script.job_name(campaign),
        output=f"{folder}/%j.out".replace("%", "%%").replace("%%j", "%j"),
        interpreter=shlex.quote(sys.executable),
        command=tuple(command),
        nodes=nodes,
        cpus=cpus,
        gpus=gpus,
        time=limit,
        grace=grace,
        options=tuple(f"--{option.lstrip('-')}" for option in sbatch or ()),
        setup=tuple(setup or ()),
    )
    typer.echo(job.script(), nl=False, err=not dry_run)
    if dry_run:
        return
    before = slurm_script.jobs_named(job.name)
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "job.sbatch"
    write_atomically(script, lambda temporary: temporary.write_text(job.script()))
    first, *others = ids = slurm_script.submit(script, jobs)
    for number in ids:
        typer.echo(number)
    after = f"; it waits for {_jobs(before)}, of the same campaign" if before else ""
    typer.echo(f"{_jobs([first])} prints to {shell_path(folder / f'{first}.out')}{after}", err=True)
    if others:
        typer.echo(
            f"{_jobs(others)}: as long as the campaign is unfinished, one after another goes on with it; the rest is"
            " cancelled then",
            err=True,
        )
    typer.echo(f"nrtune status {shell_path(campaign)}; to end all of it: scancel {' '.join(reversed(ids))}", err=True)


@command(app, CLUSTER, "nrtune slurm run search --out campaign …", context_settings=PASSED_ON)
def run(context: typer.Context, command: Command) -> None:
    """Run a search within a SLURM job, on all its nodes: what the batch script does.

    While something else writes to the campaign it waits, and says for what.
    """
    from nrtune.orchestrator.execution.slurm_ray import ray_of_job, use_local_disk
    from nrtune.orchestrator.state.ledger import CampaignBusy
    from nrtune.orchestrator.state.locations import SLURM_FOLDER

    campaign = _campaign(context, command)
    _wait_for(campaign)
    use_local_disk()
    (campaign / SLURM_FOLDER).mkdir(parents=True, exist_ok=True)
    with ray_of_job((campaign / SLURM_FOLDER).absolute(), _say):
        while True:
            try:
                _root(context).main(args=list(command), prog_name="nrtune")
            except CampaignBusy:  # it began between our look and our start
                _wait_for(campaign)


@app.command(hidden=True)
def node(address: str) -> None:
    """Be a worker of the Ray at an address: what `nrtune slurm run` starts on each other node."""
    from nrtune.orchestrator.execution.slurm_ray import run_node, use_local_disk

    use_local_disk()
    raise typer.Exit(run_node(address))


def _root(context: typer.Context) -> Any:
    return context.find_root().command


def _campaign(context: typer.Context, words: list[str]) -> Path:
    """The folder of the campaign that a command runs. Raises UserError, or what the command says, where it is wrong."""
    name, *rest = words
    if name not in COMMANDS:
        raise UserError(f"nrtune slurm: a job runs {', '.join(COMMANDS)}, not {name!r}{suggest(name, COMMANDS, '')}")
    chosen = _root(context).commands[name]
    parsed = chosen.make_context(name, list(rest), parent=context.find_root())
    if "folder" in parsed.params:
        return Path(parsed.params["folder"])
    import yaml

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        chosen.main([*rest, "--print-settings"], prog_name=f"nrtune {name}", standalone_mode=False)
    return Path(yaml.safe_load(printed.getvalue())["out"])


def _wait_for(campaign: Path) -> None:
    """Wait as long as another process writes to a campaign; says so, and which job, once."""
    from nrtune.orchestrator.execution.slurm_script import jobs_named
    from nrtune.orchestrator.state.ledger import is_running

    said = False
    while is_running(campaign):
        if not said:
            said, who = True, "another search"
            with contextlib.suppress(UserError):
                own = os.environ.get("SLURM_JOB_ID")
                running = jobs_named(os.environ.get("SLURM_JOB_NAME", ""), "--states=RUNNING")
                who = _jobs([number for number in running if number != own]) or who
            _say(f"{campaign}: {who} is writing to it; this one waits, and goes on with it then")
        time.sleep(WAITING_SECONDS)


def _jobs(ids: list[str]) -> str:
    return f"job{'' if len(ids) == 1 else 's'} {', '.join(ids)}" if ids else ""


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
