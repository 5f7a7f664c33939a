"""What another account of this machine can do to a Ray that runs here: nothing."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import ray
from command_line import wait_until

from nrtune.orchestrator.execution.guardian import MARK
from nrtune.orchestrator.execution.private_ray import TOKEN
from tests.helpers.accounts import as_account

NOBODY = 65_534
ENTER = """
import sys
from ray._raylet import GcsClient
print(GcsClient(address=sys.argv[1]).internal_kv_put(b"planted", b"by another", True, b"fun"))
"""
"""Writes to the store from which Ray's workers take the functions that they run."""


@pytest.fixture
def folder(shared_ray) -> Path:
    """The private folder around Ray's."""
    return Path(ray._private.worker._global_node.get_session_dir_path()).parents[1]


def of_ray(folder: Path) -> list[psutil.Process]:
    """The processes of a Ray that has its folder there, and this one."""
    found = [psutil.Process()]
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def listening(process: psutil.Process) -> set[str]:
    """The addresses at which a process listens, as the kernel writes them in /proc/net/tcp and tcp6."""
    sockets = set()
    for handle in Path("/proc", str(process.pid), "fd").iterdir():
        try:
            sockets.add(os.readlink(handle))
        except OSError:  # it has just been closed
            continue
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in sockets:
                found.add(local.partition(":")[0])
    return found


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def test_a_ray_on_this_machine_listens_on_loopback_alone(folder: Path):
    processes = of_ray(folder)
    assert {"gcs_server", "raylet"} <= {process.name() for process in processes}
    found = {process.pid: listening(process) for process in processes}
    assert any(found.values())
    assert {address for addresses in found.values() for address in addresses} <= LOOPBACK


def test_its_folder_and_token_are_the_users_alone(folder: Path):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / TOKEN).stat().st_mode) == 0o600
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root, with setpriv, can run commands as another account")
    other = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ]
    session = ray._private.worker._global_node.get_session_dir_path()
    for command in (["cat", folder / TOKEN], ["ls", folder], ["ls", session], ["touch", f"{session}/error.pkl"]):
        done = subprocess.run([*other, *map(str, command)], capture_output=True, text=True)
        assert "Permission denied" in done.stderr
        assert done.returncode != 0


@pytest.mark.parametrize(
    "environment",
    [{}, {"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}],
    ids=["nothing", "no token wanted", "a token made up"],
)
def test_who_has_not_the_token_writes_nothing_to_its_store(environment: dict[str, str], shared_ray, tmp_path: Path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    command = [*as_account(NOBODY, tmp_path / "home"), sys.executable, "-c", ENTER, shared_ray]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "uthentication" in done.stderr
    client = ray._private.worker.global_worker.gcs_client
    assert client.internal_kv_get(b"planted", b"fun") is None
    assert client.internal_kv_put(b"mine", b"1", True, b"fun") == 1  # the store itself is there
    client.internal_kv_del(b"mine", False, b"fun")


def test_what_a_worker_prints_without_end_is_cut(folder: Path):
    @ray.remote
    def print_much(megabytes: int) -> int:
        for _ in range(megabytes):
            for stream in (1, 2):
                os.write(stream, b"x" * 999_999 + b"\n")
        return os.getpid()

    pid = ray.get(print_much.remote(60))

    def files() -> list[Path]:
        return [*folder.glob(f"r/session_2*/logs/worker-*-{pid}.*")]

    wait_until(lambda: len(files()) == 4, "each of two files has been turned over")
    assert sum(path.stat().st_size for path in files()) < 50_000_000
