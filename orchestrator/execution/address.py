"""Whether a Ray cluster can be joined, found within seconds: Ray itself tries for minutes and logs what it does."""

from __future__ import annotations

import json
import os
import platform
import re
import selectors
import socket
import stat
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO

from nrtune.orchestrator.execution.guardian import MARK
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.shape import DamagedWarning

VARIABLE = "RAY_ADDRESS"
PATIENCE = 3.0
"""Seconds that a cluster has to answer."""

_ASK = """
import json, os, sys
from ray._private import ray_constants, services
from ray._private.authentication import authentication_token_setup as tokens
from ray._private.utils import check_version_info
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
from nrtune.orchestrator.execution.private_ray import is_on_loopback_alone
print(json.dumps("imported"), flush=True)
try:
    if sys.argv[1] == "auto":  # as ray.init does
        tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    tokens.ensure_token_if_auth_enabled(None, create_token_if_missing=False)
    if is_on_loopback_alone(os.environ["RAY_ADDRESS"]):
        ray_constants.ENABLE_RAY_CLUSTER = False
    address = services.canonicalize_bootstrap_address(sys.argv[1])
    cluster = json.loads(GcsClient(address=address).internal_kv_get(b"CLUSTER_METADATA", b"cluster"))
    try:
        check_version_info(cluster, "")
        answer = {}
    except RuntimeError:
        answer = {"ray": cluster["ray_version"], "python": cluster["python_version"]}
except AuthenticationError:
    answer = {"token": True}
except Exception as error:
    answer = {"error": str(error)}
print(json.dumps(answer), flush=True)
"""
"""Asks a cluster what it is; ray._raylet is Ray's own, and the only place of 2.60 that answers with a token missing."""


class ExposedWarning(DamagedWarning):
    """Others could read a secret."""


def address_of(given: str | None) -> str | None:
    """The cluster to join: that of an address, else of the Ray job in which this runs; None for a Ray of its own."""
    address = (given or "").strip() or os.environ.get(VARIABLE, "").strip()
    return None if address in ("", "local") else address


def check_address(given: str | None) -> None:
    """See that a cluster that is to be joined answers, and that it is one for this process. Raises UserError."""
    address = address_of(given)
    if address is None:
        return
    joined = address
    if address == "auto" and (variable := os.environ.get(VARIABLE, "").strip()):  # Ray asks it first
        given, address = None, variable
    named, otherwise = f"--address {address}", "leave --address out"
    if not (given or "").strip() or address != (given or "").strip():
        named, otherwise = f"{VARIABLE}={address} (in the environment)", f"unset {VARIABLE}"
    otherwise = f"{otherwise} for a Ray on this machine"
    if address == "auto":
        address = own_ray()
    if "://" in address:
        kind = "of a dashboard" if address.startswith("http") else "of another kind"
        raise UserError(
            f"{named}: an address {kind}, not of a cluster's head; give HOST:PORT as `ray start` prints it (most often"
            f" port 6379), or {otherwise}"
        )
    fault = None if address == "auto" else port_fault(address)
    if fault is not None:
        raise UserError(f"{named}: no Ray cluster answers ({fault}); start it, or {otherwise}")
    close_token()
    answer = _asked(joined, address)
    if "token" in answer:
        raise UserError(
            f"{named}: the cluster wants a token; put its own into ~/.ray/auth_token or RAY_AUTH_TOKEN and set"
            f" RAY_AUTH_MODE=token, or {otherwise}"
        )
    if "ray" in answer:
        raise UserError(
            f"{named}: the cluster runs Ray {answer['ray']} on Python {answer['python']}, and this process Ray"
            f" {version('ray')} on Python {platform.python_version()}; install the same here and there, or {otherwise}"
        )
    if "error" in answer:
        raise UserError(f"{named}: no Ray cluster answers ({answer['error']}); start it, or {otherwise}")


def port_fault(address: str) -> str | None:
    """Why nothing listens at HOST:PORT; None where something does."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        return "give HOST:PORT"
    found: list[str | None] = []

    def connect() -> None:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
            found.append(None)
        except OSError as error:
            found.append(error.strerror or str(error))

    # A resolver that is away keeps its caller for longer than any timeout of a socket.
    thread = threading.Thread(target=connect, name="nrtune-address", daemon=True)
    thread.start()
    thread.join(PATIENCE + 0.5)
    return found[0] if found else "timed out"


def close_token() -> None:
    """Take the right to read the token for clusters, if it is this account's file, from all others, with an ExposedWarning.

    `ray get-auth-token --generate` leaves it readable to everybody.
    """
    given = os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    path = Path(given) if given else Path(os.path.expanduser("~/.ray/auth_token"))
    with suppress(OSError):  # there is none
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(handle)
            if found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
                os.fchmod(handle, 0o600)
                sentence = (
                    f"{path}: other accounts could read this token, with which code is run on its cluster, and can't any"
                    " more; if others use this machine, make another one (ray get-auth-token --generate)"
                )
                warnings.warn(sentence, ExposedWarning, stacklevel=3)
        finally:
            os.close(handle)


def own_ray(processes: Path = Path("/proc")) -> str:
    """The cluster that `auto` stands for: of the Ray that this account, or root, has started on this machine.

    Ray itself takes whichever it finds, another account's included, whose answers would be unpickled here. That of a search is
    its own. Raises UserError where there is none, or there are several. processes: where the kernel tells of them; elsewhere
    than on Linux Ray looks itself.
    """
    if sys.platform != "linux":
        return "auto"
    own: set[str] = set()
    others: set[str] = set()
    for process in processes.glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is hidden
            program, *arguments = os.fsdecode((process / "cmdline").read_bytes()).split("\0")
            if os.path.basename(program) != "raylet":
                continue
            # Not the owner of its folder in /proc: that of a process which may not be looked into is root.
            (account,) = re.findall(r"^Uid:\s+(\d+)", (process / "status").read_text(), re.MULTILINE)
            if int(account) == os.geteuid() and f"{MARK}=".encode() in (process / "environ").read_bytes():
                continue
            found = own if int(account) in (0, os.geteuid()) else others
            found.update(one.partition("=")[2] for one in arguments if one.startswith("--gcs-address="))
    if len(own) == 1:
        return own.pop()
    if own:
        why = f"several Ray clusters run on this machine: {', '.join(sorted(own))}; give --address one of them"
    elif others:
        why = (
            f"the Ray on this machine is another account's ({', '.join(sorted(others))}), which could run code here; give"
            " --address HOST:PORT if you trust it"
        )
    else:
        why = "no Ray cluster answers (none runs on this machine); start it"
    raise UserError(f"--address auto: {why}, or leave --address out for a Ray on this machine")


def _asked(address: str, found: str) -> dict[str, str]:
    """What a cluster says of itself, asked in a process that can be left: the client of Ray's waits 40 s and logs."""
    with subprocess.Popen(  # noqa: S603  # this Python; the address is one argument
        [sys.executable, "-P", "-c", _ASK, address],
        env=os.environ | {VARIABLE: found},  # for auto
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()  # Ray is imported, which takes as long as it takes
            line = _next_line(process.stdout)
        finally:
            process.kill()
    if line is None:
        return {"error": "what listens there is no Ray, or does not answer"}
    answer: dict[str, str] = json.loads(line)
    return {name: " ".join(str(text).split())[:200] for name, text in answer.items()}


def _next_line(stream: IO[str]) -> str | None:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return (stream.readline() or None) if selector.select(PATIENCE) else None
