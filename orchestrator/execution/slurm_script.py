"""The batch script of a search on SLURM, and how it is handed in."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from nrtune.trainables.core.errors import UserError, one_line

DEFAULT_GRACE = 300
"""Seconds. SLURM looks at its time limits twice a minute, and nrtune stops within 20 s or after a step of a trial's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Batch:
    """What any job has.

    name: of the job; jobs of one name run one after the other. output: the pattern of its log. interpreter: the Python that
    has nrtune, as a shell takes it. cpus: of each node. time: the limit, as SLURM takes it. options: others of sbatch's, as
    `--mem=64G`. setup: lines of shell that go ahead.
    """

    name: str
    output: str
    interpreter: str
    cpus: int | None = None
    time: str | None = None
    options: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()

    def _script(
        self, template: str, command: str, nodes: Sequence[str], devices: str | None, end: Sequence[str]
    ) -> str:
        """The batch script of a template and a command; nodes, devices, end: options of sbatch's about these."""
        every = [
            f"--job-name={self.name}",
            f"--output={self.output}",
            "--open-mode=append",
            *nodes,
            *([] if self.cpus is None else [f"--cpus-per-task={self.cpus}"]),
            *([] if devices is None else [devices]),
            *([] if self.time is None else [f"--time={self.time}"]),
            *end,
            *self.options,
        ]
        return template.format(
            directives="\n".join(f"#SBATCH {_directive(option)}" for option in every),
            setup="".join(f"{line}\n" for line in self.setup),
            interpreter=self.interpreter,
            command=command,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlurmJob(_Batch):
    """What a job asks SLURM for, and what it runs.

    command: what nrtune is to run. gpus: of each node. grace: seconds before the limit at which the search is told to stop.
    elastic: whether it takes workers that are jobs of their own.
    """

    command: tuple[str, ...]
    nodes: int = 1
    gpus: int | None = None
    grace: int = DEFAULT_GRACE
    elastic: bool = False

    def script(self) -> str:
        """The batch script."""
        return self._script(
            SCRIPT,
            ("--elastic " if self.elastic else "") + shlex.join(self.command),
            [f"--nodes={self.nodes}", "--ntasks-per-node=1"],
            None if self.gpus is None else f"--gpus-per-node={self.gpus}",
            [f"--signal=B:TERM@{self.grace}", "--requeue", "--dependency=singleton"],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlurmWorkers(_Batch):
    """Jobs of a node each that work for a search that runs; the tasks of an array.

    folder: the campaign's. count: how many. gres: of each, SLURM's generic resources.
    """

    folder: str
    count: int
    gres: str | None = None

    def script(self) -> str:
        """The batch script."""
        return self._script(
            WORKER_SCRIPT,
            shlex.quote(self.folder),
            [f"--array=1-{self.count}", "--nodes=1", "--ntasks=1"],
            None if self.gres is None else f"--gres={self.gres}",
            ["--requeue"],
        )


SCRIPT = """\
#!/bin/bash
{directives}
# At --signal's time before the limit the search stops between two steps, and keeps everything. --requeue: a job that was
# preempted, or whose node failed, starts again and goes on. --dependency=singleton: one job of this name runs at a time.
set -e
{setup}# Temporary files of Ray's go to a disk of the node: $SLURM_TMPDIR, $TMPDIR or /tmp. SIGTERM must reach nrtune: exec.
exec {interpreter} -P -m nrtune slurm run {command}
"""


WORKER_SCRIPT = """\
#!/bin/bash
{directives}
# One that is preempted costs the epoch that it was in: the trial goes on with another, and --requeue starts it again.
set -e
{setup}# Temporary files of Ray's go to a disk of the node: $SLURM_TMPDIR, $TMPDIR or /tmp. SIGTERM must reach nrtune: exec.
exec {interpreter} -P -m nrtune slurm worker {command}
"""


def job_name(folder: Path) -> str:
    """The name of all jobs of a campaign."""
    return f"{folder.name}-{hashlib.sha256(bytes(folder.resolve())).hexdigest()[:6]}"


def submit(script: Path, jobs: int) -> list[str]:
    """Hand a script in, so many times; returns the jobs' ids.

    Each but the first starts if all before it have ended unfinished, be it by an error, their time or a lost node, and else is
    cancelled. Raises UserError with SLURM's sentence where it refuses; jobs that were handed in before that stay.
    """
    ids: list[str] = []
    for _ in range(jobs):
        waits = "".join(f",afternotok:{number}" for number in ids)
        chained = [f"--dependency=singleton{waits}", "--kill-on-invalid-dep=yes"] if ids else []
        said = asked("sbatch", "--parsable", *chained, str(script))
        ids.append(said.strip().split(";")[0])
    return ids


def jobs_named(name: str, *options: str) -> list[str]:
    """The ids of this user's jobs of a name that wait or run; options: squeue's, which may leave some out."""
    return asked("squeue", "--me", "--noheader", "--format=%A", f"--name={name}", *options).split()


def asked(*command: str) -> str:
    """What a command of SLURM's prints. Raises UserError with what it says where it fails, or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)  # noqa: S603  # SLURM's, with a list
    except OSError as error:
        raise UserError(f"{command[0]} can't be run here ({error.strerror}): submit from where SLURM is") from error
    if done.returncode:
        raise UserError(f"{command[0]} refused: {one_line(RuntimeError(done.stderr))}")
    return done.stdout


def _directive(option: str) -> str:
    """An option as #SBATCH takes it: in double quotes where it holds a space."""
    name, separator, value = option.partition("=")
    return f'{name}="{value}"' if separator and any(sign in value for sign in " \t#") else option
