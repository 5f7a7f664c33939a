"""Ray on the nodes of a SLURM job: its head beside the search on the first, a worker on each other one."""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nrtune.orchestrator.execution.address import VARIABLE
from nrtune.orchestrator.execution.as_found import variables_as_found
from nrtune.orchestrator.execution.guardian import guarded, mark_of
from nrtune.orchestrator.execution.limits import memory_limit, usable_cores
from nrtune.orchestrator.execution.places import place_for_ray
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import write_atomically

TOKEN = "RAY_AUTH_TOKEN_PATH"  # noqa: S105  # the name of a file
"""The variable that says where Ray finds its token."""

HEAD = ("--head", "--port=0", "--include-dashboard=false", "--no-monitor")
"""What a head is started with: a port that is free, for several jobs may share a node, and nothing that a search doesn't need."""

ATTEMPTS = 3
"""To start Ray on a node."""

JOINING_SECONDS = 180.0
"""What the nodes have to join. Python's files come from a network's file system, for the first time maybe."""

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
def ray_of_job(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Ray on all nodes of the job in which this runs, for what the block starts; nothing in a job of one node.

    Such a one starts its own. folder: where all nodes see the token, and what Ray says. Without a node that has not joined in
    JOINING_SECONDS, or is lost later, it goes on. Raises UserError where the head does not start.
    """
    nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))
    if nodes == 1:
        yield
        return
    token = folder / f"token-{job_id()}"
    with variables_as_found("RAY_"), guarded(place_for_ray()) as own:
        write_atomically(token, _write_token)
        os.environ |= {"RAY_AUTH_MODE": "token", TOKEN: str(token)}
        workers: subprocess.Popen[bytes] | None = None
        try:
            with (folder / f"ray-{job_id()}.log").open("ab") as log:
                _, address = _start_ray(own, log, *HEAD, *_client_port())
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
                workers = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.PIPE)  # noqa: S603  # srun, with a list
            os.environ[VARIABLE] = address
            joined = _joined(address, nodes, workers)
            lacking = "" if joined == nodes else f"; the log of the others is {log.name}"
            say(f"Ray runs on {joined} of the job's {nodes} nodes{lacking}")
            yield
        finally:
            if workers is not None:
                _end(workers)
            with suppress(OSError):
                token.unlink()


def run_node(address: str) -> int:
    """Be a worker of the Ray at an address until standard input is closed, or that is gone; the exit code of `ray start`."""
    with guarded(place_for_ray()) as own:
        process, _ = _start_ray(own, sys.stderr.buffer, f"--address={address}")

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
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    path.chmod(0o600)
    path.write_text(secrets.token_hex(32))


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
    command += [
        f"--num-cpus={usable_cores()}",
        "--include-log-monitor=false",
        "--disable-usage-stats",
        "--log-color=false",
    ]
    if (gpus := os.environ.get("SLURM_GPUS_ON_NODE", "")).isdigit():
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
    # Compiled, of 2.60; ray.nodes() would make this process a driver before the campaign is one.
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    client = GcsClient(address=address)
    deadline = time.monotonic() + JOINING_SECONDS
    while True:
        joined = len(client.get_all_node_info())
        if joined >= nodes or workers.poll() is not None or time.monotonic() > deadline:
            return joined
        time.sleep(0.3)
