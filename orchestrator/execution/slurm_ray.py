"""Ray on the nodes of a SLURM job: its head beside the search on the first, a worker on each other one."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nrtune.orchestrator.execution.address import VARIABLE, port_fault
from nrtune.orchestrator.execution.as_found import variables_as_found
from nrtune.orchestrator.execution.guardian import guarded, mark_of
from nrtune.orchestrator.execution.limits import memory_limit, usable_cores
from nrtune.orchestrator.execution.places import place_for_ray
from nrtune.orchestrator.execution.slurm_head import forget_head, read_head, write_head, write_privately
from nrtune.orchestrator.execution.slurm_script import asked
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.core.inside import regular

TOKEN = "RAY_AUTH_TOKEN_PATH"  # noqa: S105  # the name of a file
"""The variable that says where Ray finds its token."""

HEAD = ("--head", "--port=0", "--include-dashboard=false", "--no-monitor")
"""What a head is started with: a port that is free, for several jobs may share a node, and nothing that a search doesn't need."""

ATTEMPTS = 3
"""To start Ray on a node."""

JOINING_SECONDS = 180.0
"""What the nodes have to join. Python's files come from a network's file system, for the first time maybe."""

NEIGHBOURS = 3
"""How many other nodes are asked for. A name that is not resolved may take its time."""

LOOKING_SECONDS = 3.0
"""Between two looks for a head. A network's file system shows for as long what was there before."""

ENDING_SECONDS = 40.0
"""What the nodes have to end Ray, and to remove its files."""


def job_id() -> str | None:
    """The SLURM job in which this process runs; None outside of one."""
    return os.environ.get("SLURM_JOB_ID")


def use_local_disk() -> None:
    """Have temporary files of Ray's go where a site says that a job's own disk is, unless TMPDIR or RAY_TMPDIR is set."""
    if not os.environ.get("TMPDIR") and (own := os.environ.get("SLURM_TMPDIR")):
        os.environ["TMPDIR"] = own


@contextmanager
def ray_of_job(folder: Path, say: Callable[[str], None], *, elastic: bool = False) -> Iterator[None]:
    """Ray on all nodes of the job in which this runs, for what the block starts; nothing in a job of one node.

    Such a one starts its own. folder: where all nodes see the token, and what Ray says. Without a node that has not joined in
    JOINING_SECONDS, or is lost later, it goes on. elastic: a head without CPUs or GPUs for trials, in a job or outside of one,
    which takes workers that are jobs of their own, and waits for the first. Raises UserError where the head does not start.
    """
    nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) if job_id() is not None else 1
    if nodes == 1 and not elastic:
        yield
        return
    token = folder / f"token-{_own_name()}"
    with variables_as_found("RAY_"), _ended_by_sigterm(), guarded(place_for_ray()) as own:
        write_atomically(token, _write_token)
        os.environ |= {"RAY_AUTH_MODE": "token", TOKEN: str(token)}
        workers: subprocess.Popen[bytes] | None = None
        try:
            with open(folder / f"ray-{_own_name()}.log", "ab", opener=regular) as log:
                nothing = ("--num-cpus=0", "--num-gpus=0") if elastic else ()
                _, address = _start_ray(own, log, *HEAD, *_client_port(), *nothing, *_at(_other_nodes()))
            if elastic:
                write_head(folder, address, token)
            if nodes > 1:
                # Of the nodes that are left each has one task, which may use all that the job has there.
                command = [
                    "srun",
                    f"--nodes={nodes - 1}",
                    f"--ntasks={nodes - 1}",
                    "--ntasks-per-node=1",
                    "--relative=1",
                    "--cpu-bind=none",
                    "--kill-on-bad-exit=0",
                    *[sys.executable, "-P", "-m", "nrtune", "slurm", "node", address],
                ]
                with open(folder / f"ray-{_own_name()}.log", "ab", opener=regular) as log:
                    workers = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.PIPE)  # noqa: S603  # srun, with a list
                joined = _joined(address, nodes, workers)
                lacking = "" if joined == nodes else f"; the log of the others is {log.name}"
                say(f"Ray runs on {joined} of the job's {nodes} nodes{lacking}")
            os.environ[VARIABLE] = address
            if elastic:
                _wait_for_worker(address, folder.parent, say)
            yield
        finally:
            forget_head(folder, token)
            if workers is not None:
                _end(workers)
            with suppress(OSError):
                token.unlink()


def _own_name() -> str:
    """A name for this job's files: its id, or host and process outside of one."""
    return job_id() or f"{socket.gethostname()}-{os.getpid()}"


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM leaves the block as Ctrl-C does, while nothing that runs in it takes it; its files are removed then."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_worker(folder: Path, say: Callable[[str], None]) -> int:
    """Be a worker of the head that is told in a folder, until that is gone; the exit code.

    Waits JOINING_SECONDS for a head, whose job may just be starting anew.
    """
    deadline = time.monotonic() + JOINING_SECONDS
    while (head := read_head(folder)) is None or port_fault(head[0]) is not None:
        if time.monotonic() > deadline:
            say(f"{folder.parent}: no search takes workers there: nrtune slurm submit --elastic search … starts one")
            return 0
        time.sleep(LOOKING_SECONDS)
    address, token = head
    with variables_as_found("RAY_"), _ended_by_sigterm(), guarded(place_for_ray()) as own:
        os.environ |= {"RAY_AUTH_MODE": "token", TOKEN: str(token)}
        process, _ = _start_ray(own, sys.stderr.buffer, f"--address={address}", *_at([_host(address)]))
        say(f"a worker of the search in {folder.parent}")
        while process.poll() is None and read_head(folder) == head:
            time.sleep(LOOKING_SECONDS)
        return 0 if process.poll() is None or read_head(folder) != head else process.returncode


def run_node(address: str) -> int:
    """Be a worker of the Ray at an address until standard input is closed, or that is gone; the exit code of `ray start`."""
    with guarded(place_for_ray()) as own:
        process, _ = _start_ray(own, sys.stderr.buffer, f"--address={address}", *_at([_host(address)]))

        def end_with_input() -> None:
            sys.stdin.read()
            process.kill()

        threading.Thread(target=end_with_input, name="nrtune-slurm-node", daemon=True).start()
        return process.wait()


def _end(workers: subprocess.Popen[bytes]) -> None:
    """End srun and its tasks, and with those what they have started: it hands its input's end on, but kills for SIGTERM."""
    assert workers.stdin is not None
    workers.stdin.close()
    try:
        workers.wait(ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        workers.terminate()
        workers.wait()


def _write_token(path: Path) -> None:
    write_privately(path, secrets.token_hex(32))


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _other_nodes() -> list[str]:
    """Addresses of the job's other nodes, as SLURM knows them; outside of a job, of some of the cluster's."""
    several = job_id() is not None and int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) > 1
    of_job = [f"--nodes={os.environ['SLURM_JOB_NODELIST']}"] if several else []
    with suppress(UserError):
        told = asked("sinfo", "--noheader", "--Node", "--format=%n %o", *of_job)
        own = os.environ.get("SLURMD_NODENAME")
        return [line.split()[1] for line in told.splitlines() if len(line.split()) == 2 and line.split()[0] != own]
    return []


def _at(others: Sequence[str]) -> list[str]:
    """The option that gives Ray the address by which this node reaches another.

    Ray itself takes the one of the way to the internet, and where there is none looks up the host's own name, which may be
    127.0.1.1. Nothing where no other is to be reached, or on this machine alone.
    """
    for other in others[:NEIGHBOURS]:
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.connect((other, 9))  # sends nothing
            if not (address := own.getsockname()[0]).startswith("127."):
                return [f"--node-ip-address={address}"]
    return []


def _client_port() -> list[str]:
    """A port that is free, for Ray's client server: where grpc is installed it can't be left out, and else has no option."""
    if importlib.util.find_spec("grpc") is None:
        return []
    with socket.socket() as own:
        own.bind(("", 0))
        return [f"--ray-client-server-port={own.getsockname()[1]}"]


def _start_ray(folder: Path, log: IO[bytes], *where: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start Ray on this node, with what the job has of it, on ports that are free; the process that stays, and Ray's address.

    Ray gives its own processes 15 s to import what they need, which a network's file system may take for longer the first time.
    """
    # Ray looks at RAY_AUTH_MODE when it is imported, and no sooner must it be.
    from nrtune.orchestrator.execution.ray_session import OBJECT_STORE, OBJECT_STORE_LEAST, VARIABLES
    from nrtune.orchestrator.execution.ray_watch import keep_logs

    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "start", *where, "--block", f"--temp-dir={folder}"]
    if not any(option.startswith("--num-cpus") for option in where):
        command.append(f"--num-cpus={usable_cores()}")
    command += [
        "--include-log-monitor=false",
        "--disable-usage-stats",
        "--log-color=false",
    ]
    if (gpus := os.environ.get("SLURM_GPUS_ON_NODE", "")).isdigit() and "--num-gpus=0" not in where:
        command.append(f"--num-gpus={gpus}")
    if (memory := memory_limit()) is not None:
        store = max(OBJECT_STORE_LEAST, int(OBJECT_STORE * memory))
        command += [f"--object-store-memory={store}", f"--memory={memory - store}"]
    told = folder / "ray_current_cluster"
    for _ in range(ATTEMPTS):
        process = subprocess.Popen(  # noqa: S603  # this Python's Ray, with a list
            command,
            env=os.environ | VARIABLES | mark_of(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        while process.poll() is None:
            if told.exists() and (address := told.read_text().strip()):
                return process, address
            time.sleep(0.1)
    node = os.environ.get("SLURMD_NODENAME", "")
    logs = Path(os.environ[TOKEN]).with_name(f"ray-{job_id()}-{node}")
    raise UserError(
        f"Ray did not start on {node}, tried {ATTEMPTS} times{keep_logs(folder.glob('session_2*/logs'), logs)}"
    )


def _joined(address: str, nodes: int, workers: subprocess.Popen[bytes]) -> int:
    """How many nodes a Ray has, once it has all or no more come."""
    deadline = time.monotonic() + JOINING_SECONDS
    while True:
        joined = nodes_of(address)
        if joined >= nodes or workers.poll() is not None or time.monotonic() > deadline:
            return joined
        time.sleep(0.3)


def nodes_of(address: str) -> int:
    """How many nodes a Ray has that are alive. Raises an error of Ray's where none answers."""
    # Compiled, of 2.60; ray.nodes() would make this process a driver before the campaign is one.
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.gcs_pb2 import GcsNodeInfo

    return len(GcsClient(address=address).get_all_node_info(state_filter=GcsNodeInfo.GcsNodeState.ALIVE))


def _wait_for_worker(address: str, campaign: Path, say: Callable[[str], None]) -> None:
    """Wait until a head has a worker: what a trial gets is decided by what those have."""
    said = False
    while nodes_of(address) < 2:
        if not said:
            say(
                f"a head waits for its first worker: nrtune slurm workers --count N --gres gpu:1 {shlex.quote(str(campaign))}"
            )
            said = True
        time.sleep(1.0)
