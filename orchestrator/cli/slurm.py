"""`nrtune slurm`: searches as jobs of a SLURM cluster."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import subprocess
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

TRACKING_SECONDS = 900.0
"""What MLflow's database may take that is written at the end. On a network's file system it may wait for a lock for ever."""

PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Options behind the command are the command's."""

Limit = Annotated[
    str | None, typer.Option("--time", metavar="D-HH:MM:SS", help="Time limit of each job. [default: the site's]")
]
Sbatch = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Any other option of sbatch, such as partition=gpu or mem=64G."),
]
Setup = Annotated[
    list[str] | None, typer.Option(metavar="LINE", help="A line of shell ahead, such as 'module load cuda'.")
]
Elastic = Annotated[
    bool, typer.Option("--elastic", help="Train on the jobs of nrtune slurm workers alone, as they come and go.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the script and stop.")]

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
    limit: Limit = None,
    grace: Annotated[
        int, typer.Option(min=60, help="Seconds before the time limit at which the search is told to stop.")
    ] = 300,
    jobs: Annotated[
        int, typer.Option(min=1, help="Jobs one after another; as long as one ends unfinished the next goes on.")
    ] = 1,
    sbatch: Sbatch = None,
    setup: Setup = None,
    elastic: Elastic = False,
    dry_run: DryRun = False,
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
        output=_pattern(folder, "%j"),
        interpreter=shlex.quote(sys.executable),
        command=tuple(command),
        nodes=nodes,
        cpus=cpus,
        gpus=gpus,
        time=limit,
        grace=grace,
        options=_options(sbatch),
        setup=tuple(setup or ()),
        elastic=elastic,
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
def run(context: typer.Context, command: Command, elastic: Elastic = False) -> None:
    """Run a search within a SLURM job, on all its nodes: what the batch script does.

    While something else writes to the campaign it waits, and says for what. With --elastic it may run outside of a job as well.
    """
    from nrtune.orchestrator.execution.slurm_ray import ray_of_job, use_local_disk
    from nrtune.orchestrator.state.ledger import CampaignBusy
    from nrtune.orchestrator.state.locations import SLURM_FOLDER
    from nrtune.orchestrator.tracking import deferred

    campaign = _campaign(context, command)
    _wait_for(campaign)
    use_local_disk()
    (campaign / SLURM_FOLDER).mkdir(parents=True, exist_ok=True)
    os.environ[deferred.VARIABLE] = "1"
    try:
        with ray_of_job((campaign / SLURM_FOLDER).absolute(), _say, elastic=elastic):
            while True:
                try:
                    _root(context).main(args=list(command), prog_name="nrtune")
                except CampaignBusy:  # it began between our look and our start
                    _wait_for(campaign)
    except SystemExit as ended:
        if not ended.code:
            _track(campaign)
        raise


@command(app, CLUSTER, "nrtune slurm workers --count 8 --gres gpu:1 campaign")
def workers(
    campaign: Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="The folder of a search that runs --elastic.")],
    count: Annotated[int, typer.Option(min=1, help="Jobs, of one node each.")] = 1,
    gres: Annotated[
        str | None, typer.Option(metavar="gpu:N", help="What each gets of SLURM's generic resources. [default: none]")
    ] = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="CPUs of each. [default: the site's]")] = None,
    limit: Limit = None,
    sbatch: Sbatch = None,
    setup: Setup = None,
    dry_run: DryRun = False,
) -> None:
    """Submit small jobs that work for a search that runs, and come and go.

    The search is one of nrtune slurm submit --elastic, or of nrtune slurm run --elastic on a login node.
    """
    from nrtune.analysis.wording import shell_path
    from nrtune.orchestrator.execution import slurm_script
    from nrtune.orchestrator.execution.slurm_head import read_head
    from nrtune.orchestrator.state.locations import SLURM_FOLDER
    from nrtune.trainables.core.files import write_atomically

    campaign = campaign.absolute()
    folder = campaign / SLURM_FOLDER
    job = slurm_script.SlurmWorkers(
        name=f"{slurm_script.job_name(campaign)}-workers",
        output=_pattern(folder, "worker-%A_%a"),
        interpreter=shlex.quote(sys.executable),
        folder=str(campaign),
        count=count,
        gres=gres,
        cpus=cpus,
        time=limit,
        options=_options(sbatch),
        setup=tuple(setup or ()),
    )
    if dry_run:
        typer.echo(job.script(), nl=False)
        return
    if read_head(folder) is None and not slurm_script.jobs_named(slurm_script.job_name(campaign)):
        raise UserError(
            f"{campaign}: no search of yours takes workers there; start one: nrtune slurm submit --elastic search --out"
            f" {shell_path(campaign)} …"
        )
    typer.echo(job.script(), nl=False, err=True)
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "workers.sbatch"
    write_atomically(script, lambda temporary: temporary.write_text(job.script()))
    (number,) = slurm_script.submit(script, 1)
    typer.echo(number)
    typer.echo(f"they end with the search; to end them before: scancel {number}", err=True)


@app.command(hidden=True)
def worker(campaign: Path) -> None:
    """Be a worker of the search that runs in a campaign's folder: what the jobs of `workers` do."""
    from nrtune.orchestrator.execution.slurm_ray import run_worker, use_local_disk
    from nrtune.orchestrator.state.locations import SLURM_FOLDER

    use_local_disk()
    raise typer.Exit(run_worker(campaign.absolute() / SLURM_FOLDER, _say))


@app.command(hidden=True)
def node(address: str) -> None:
    """Be a worker of the Ray at an address: what `nrtune slurm run` starts on each other node."""
    from nrtune.orchestrator.execution.slurm_ray import run_node, use_local_disk

    use_local_disk()
    raise typer.Exit(run_node(address))


def _options(given: list[str] | None) -> tuple[str, ...]:
    """Options as sbatch takes them."""
    return tuple(f"--{option.lstrip('-')}" for option in given or ())


def _pattern(folder: Path, name: str) -> str:
    """The pattern of a job's log: SLURM fills in what follows a % of the name, and of the folder nothing."""
    return f"{str(folder).replace('%', '%%')}/{name}.out"


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


def _track(campaign: Path) -> None:
    """Write a campaign that has ended into its MLflow; where that can't be done in time, its records have it all the same."""
    try:
        command = [sys.executable, "-P", "-m", "nrtune", "track", str(campaign)]
        subprocess.run(command, timeout=TRACKING_SECONDS)  # noqa: S603  # this Python, with a list
    except subprocess.TimeoutExpired:
        _say(f"MLflow takes too long; write it from elsewhere: nrtune track {shlex.quote(str(campaign))}")


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
