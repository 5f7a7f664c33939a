"""A SLURM of one's own on this machine: munged, slurmctld, and a slurmd for each of its two nodes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from hosts import run, wait_for

COMMANDS = {"munged": "munge", "sbatch": "slurm-client", "slurmctld": "slurmctld", "slurmd": "slurmd"}
"""What it needs of this machine, and the Debian package that has it."""

DAEMONS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

CONFIGURATION = """\
ClusterName=nrtune
SlurmctldHost={host}({address})
SlurmctldPort={ports[0]}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
GresTypes=gpu
ReturnToService=2
KillWait=15
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
NodeName=n1 NodeHostname={host} NodeAddr={address} Port={ports[1]} CPUs=2 RealMemory=4000 Gres=gpu:1
NodeName=n2 NodeHostname={host} NodeAddr={address} Port={ports[2]} CPUs=2 RealMemory=4000 Gres=gpu:1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=60 PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=60 PriorityTier=2 PreemptMode=OFF
"""

GPUS = """\
NodeName=n1 Name=gpu File=/dev/null
NodeName=n2 Name=gpu File=/dev/zero
"""
"""Devices that are none: Ray is told how many GPUs a job has, and nrtune finds no CUDA on them."""


def skip_without_slurm() -> None:
    """Skip where SLURM can't be run here."""
    if os.geteuid() != 0:
        pytest.skip("a SLURM of one's own needs root")
    missing = sorted({package for command, package in COMMANDS.items() if shutil.which(command, path=DAEMONS) is None})
    if missing:
        pytest.skip(f"a SLURM of one's own needs apt-get install {' '.join(missing)}")


ISOLATED = """\
set -e
ip link set lo up
ip link add lan type veth peer name far
ip addr add {address}/24 dev lan
ip link set lan up
ip link set far up
mount --bind {folder}/resolv.conf /etc/resolv.conf
mount --bind {folder}/hosts /etc/hosts
mount -t tmpfs -o ro tmpfs {folder}/home
touch {folder}/isolated
exec sleep infinity
"""
"""A network without a way out and without names, such as compute nodes have, and a home that nobody can write to."""


class Slurm:
    """Two nodes, n1 and n2, of two CPUs and a GPU that is none, each a slurmd.

    isolated: they have neither the internet nor DNS, their own name is that of a loopback address, as Debian has it, and their
    home is read-only.
    """

    def __init__(self, folder: Path, *, isolated: bool = False) -> None:
        self.folder = folder
        self.address = "10.99.0.1" if isolated else "127.0.0.1"
        for name in ("state", "spool.n1", "spool.n2"):
            (folder / name).mkdir()
        with ExitStack() as stack:  # held at once, so that they differ
            sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            ports = [one.getsockname()[1] for one in sockets]
        configuration = folder / "slurm.conf"
        told = {"host": socket.gethostname(), "address": self.address, "ports": ports, "folder": folder}
        configuration.write_text(CONFIGURATION.format(**told))
        (folder / "gres.conf").write_text(GPUS)
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o600)
        # What pytest marks its processes by, it looks for in jobs as well; a cluster's address is theirs to find.
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_", "RAY_"))
        } | {"SLURM_CONF": str(configuration), "PATH": f"{Path(sys.executable).parent}:{DAEMONS}"}
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.enter: list[str] = []
        self.isolated = isolated

    def start(self) -> None:
        """Start it, and wait until both nodes are idle."""
        if self.isolated:
            self._isolate()
        own = [f"--{name}={self.folder}/munge.{name.split('-')[0]}" for name in ("socket", "key-file", "pid-file")]
        own += [f"--seed-file={self.folder}/munge.seed", f"--log-file={self.folder}/munged.log"]
        self._daemon("munged", "--foreground", "--force", *own)
        wait_for("munged", lambda: (self.folder / "munge.socket").exists(), 30)
        self._daemon("slurmctld", "-D")
        for name in ("n1", "n2"):
            self._daemon("slurmd", "-D", "-N", name)
        wait_for("both nodes", lambda: self.run("sinfo", "--noheader", "--format=%T %D", check=False) == "idle 2\n", 60)

    def close(self) -> None:
        """Cancel what runs, and end it."""
        self.run("scancel", "--me", check=False)
        try:
            wait_for("all jobs to end", lambda: not self.run("squeue", "--noheader", check=False).strip(), 60)
        finally:
            for daemon in reversed(self.daemons):
                daemon.send_signal(signal.SIGTERM)
                daemon.wait(30)

    def run(self, *command: str, check: bool = True) -> str:
        """What a command prints that is given here, as on a login node."""
        return run(*self.enter, *command, check=check, env=self.environment, cwd=self.folder).stdout

    def state(self, job: str) -> str:
        """State and exit code of a job, such as COMPLETED 0:0."""
        told = self.run("scontrol", "show", "job", job)
        fields = dict(field.split("=", 1) for field in told.split() if "=" in field)
        return f"{fields['JobState']} {fields['ExitCode']}"

    def wait(self, job: str, seconds: float = 300) -> str:
        """Wait for a job to end; returns its state."""
        running = ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "CONFIGURING")
        wait_for(f"job {job}", lambda: not self.state(job).startswith(running), seconds)
        return self.state(job)

    def _isolate(self) -> None:
        """Have all that is started from now on in namespaces of their own."""
        (self.folder / "home").mkdir()
        (self.folder / "resolv.conf").touch()
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {socket.gethostname()}\n")
        script = ISOLATED.format(folder=self.folder, address=self.address)
        self._daemon("unshare", "--net", "--mount", "--propagation", "private", "bash", "-c", script)
        wait_for("the namespaces", (self.folder / "isolated").exists, 30)
        self.enter = ["nsenter", f"--target={self.daemons[0].pid}", "--net", "--mount", "--"]
        self.environment["HOME"] = str(self.folder / "home")

    def _daemon(self, *command: str) -> None:
        with (self.folder / "daemons.log").open("ab") as log:
            self.daemons.append(
                subprocess.Popen(
                    [*self.enter, *command], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )
