"""A cluster that can't be joined is found within seconds, and the one who gave its address is named."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import Command, Process

from nrtune.orchestrator.execution.address import ExposedWarning, address_of, check_address, close_token, own_ray
from nrtune.orchestrator.execution.guardian import MARK
from nrtune.trainables.core.errors import UserError
from tests.helpers.accounts import OTHER, as_account

HEAD = """
import signal, sys, ray
ray.__version__ = sys.argv[1]
ray.init(address="local", num_cpus=0, include_dashboard=False, log_to_driver=False)
print(ray.get_runtime_context().gcs_address, file=sys.stderr, flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever token this account has for clusters of its own is left alone."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def listener() -> Iterator[str]:
    """Where something listens that is no Ray and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_without_an_address_there_is_nothing_to_check(monkeypatch: pytest.MonkeyPatch):
    for name, given in (("", None), ("  ", ""), ("local", None), ("", "local")):
        monkeypatch.setenv("RAY_ADDRESS", name)
        assert address_of(given) is None
        check_address(given)
    monkeypatch.setenv("RAY_ADDRESS", "there:6379")
    assert (address_of(None), address_of("here:6379")) == ("there:6379", "here:6379")


def test_who_gave_an_address_is_named(monkeypatch: pytest.MonkeyPatch):
    address = closed_port()
    with pytest.raises(UserError, match=f"^--address {address}: no Ray cluster answers .*leave --address out"):
        check_address(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    for given in (None, "auto"):  # Ray asks the variable for auto
        with pytest.raises(UserError, match=f"^RAY_ADDRESS={address} .*no Ray cluster answers .*unset RAY_ADDRESS"):
            check_address(given)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8265", "https://ray.example", "ray://127.0.0.1:10001"])
def test_an_address_of_another_kind_is_no_clusters(address: str):
    with pytest.raises(UserError, match="give HOST:PORT"):
        check_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "6379", "host:", "host:99999", ":6379"])
def test_half_an_address_is_none(address: str):
    with pytest.raises(UserError, match="give HOST:PORT"):
        check_address(address)


@pytest.mark.end_to_end
def test_what_listens_and_is_no_ray_is_left(listener: str):
    with pytest.raises(UserError, match="what listens there is no Ray"):
        check_address(listener)


@pytest.mark.end_to_end
def test_a_cluster_with_a_token_and_one_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 32}
    head = Process([sys.executable, "-c", HEAD, "2.0.0"], {**os.environ, **token})
    with head:
        head.wait_until(lambda: re.search(r"^[\d.]+:\d+$", head.err, re.MULTILINE), "its address")
        address = re.findall(r"^[\d.]+:\d+$", head.err, re.MULTILINE)[0]
        for name, value in token.items():
            monkeypatch.setenv(name, value)
        here = f"{version('ray')} on Python {platform.python_version()}"
        with pytest.raises(UserError, match=f"runs Ray 2.0.0 on .*this process Ray {re.escape(here)}"):
            check_address(address)
        for name in token:
            monkeypatch.delenv(name)
        with pytest.raises(UserError, match="wants a token"):
            check_address(address)
        head.end(signal.SIGTERM)


@pytest.mark.end_to_end
def test_a_command_says_it_before_it_reads_data(tmp_path: Path):
    address, out = closed_port(), tmp_path / "out"
    command = Command("search", "--data", tmp_path / "none.h5", "--out", out, RAY_ADDRESS=address)
    with command.start() as process:
        assert process.end() == 2
    assert f"nrtune: RAY_ADDRESS={address}" in process.err
    assert not out.exists()


@pytest.fixture
def raylets(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """What starts a process that looks like a raylet, and where the kernel tells of these processes alone."""
    started, place = [], Path(tempfile.mkdtemp())
    place.chmod(0o755)
    (place / "raylet").symlink_to("/bin/sh")
    (tmp_path / "proc").mkdir()

    def start(address: str, *account: str, **environment: str) -> Path:
        command = [*account, str(place / "raylet"), "-c", "echo; read line; :", f"--gcs-address={address}"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"], **environment}
        )
        started.append(process)
        process.stdout.readline()
        (tmp_path / "proc" / str(process.pid)).symlink_to(f"/proc/{process.pid}")
        return tmp_path / "proc"

    yield start
    for process in started:
        process.communicate(b"\n")
    shutil.rmtree(place)


def test_auto_joins_no_ray_of_another_account(raylets: Callable[..., Path], tmp_path: Path):
    processes = raylets("10.0.0.1:1", *as_account(OTHER, tmp_path / "home"))
    with pytest.raises(
        UserError, match=r"is another account's \(10.0.0.1:1\), which could run code here; give --address HOST"
    ):
        own_ray(processes)
    raylets("10.0.0.2:2")
    assert own_ray(processes) == "10.0.0.2:2"


def test_auto_joins_one_cluster_and_no_search_s(raylets: Callable[..., Path], tmp_path: Path):
    (tmp_path / "proc").mkdir(exist_ok=True)
    with pytest.raises(UserError, match="none runs on this machine"):
        own_ray(tmp_path / "proc")
    processes = raylets("10.0.0.1:1", **{MARK: "/tmp/nrtune-0000"})
    with pytest.raises(UserError, match="none runs on this machine"):
        own_ray(processes)
    raylets("10.0.0.2:2")
    assert own_ray(processes) == "10.0.0.2:2"
    raylets("10.0.0.3:3")
    with pytest.raises(UserError, match=r"several Ray clusters run on this machine: 10.0.0.2:2, 10.0.0.3:3; give"):
        own_ray(processes)


def test_a_token_that_others_can_read_is_closed_and_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    close_token()  # there is none
    (tmp_path / ".ray").mkdir()
    token = tmp_path / ".ray" / "auth_token"
    token.write_text("0" * 32)
    token.chmod(0o644)
    with pytest.warns(ExposedWarning, match=f"^{token}: other accounts could read this token"):
        close_token()
    assert token.stat().st_mode & 0o777 == 0o600
    close_token()  # and says nothing more
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not to be touched")
    elsewhere.chmod(0o644)
    token.unlink()
    token.symlink_to(elsewhere)
    close_token()
    assert elsewhere.stat().st_mode & 0o777 == 0o644
