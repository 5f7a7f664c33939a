"""A Ray on this machine that is its user's alone: nobody else can enter its folder, has its token, or reaches it from outside.

Ray itself makes its folders writable to everybody, its token readable, and listens on all addresses of the machine.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray._private import ray_constants
from ray._private.services import get_node_ip_address
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled

from nrtune.orchestrator.execution.as_found import variables_as_found
from nrtune.orchestrator.execution.places import RAY

TOKEN = "token"  # noqa: S105  # the name of a file
"""The file beside it."""


@contextmanager
def private_ray(folder: Path) -> Iterator[Path]:
    """Yield a folder for a Ray whose processes, and this one, ask for a new token meanwhile. folder: of mode 0700."""
    try:
        with variables_as_found("RAY_AUTH_"):
            path = folder / TOKEN
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
            os.environ.pop("RAY_AUTH_TOKEN", None)  # it would go before the file
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(path))
            _read_variables()
            yield folder / RAY
    finally:
        _read_variables()


@contextmanager
def on_loopback() -> Iterator[None]:
    """A Ray that starts meanwhile listens on 127.0.0.1 alone, as it does elsewhere than on Linux.

    `ray.init` puts the machine's outer address in place of a loopback one that it is given.
    """
    found = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = found


def is_on_loopback_alone(address: str) -> bool:
    """Whether what listens at HOST:PORT does so on this machine's loopback alone, where Ray would look for it outside."""
    host, _, port = address.rpartition(":")
    if host not in ("127.0.0.1", "localhost"):
        return False
    try:
        socket.create_connection((get_node_ip_address(), int(port)), timeout=1).close()
    except OSError:
        return True
    return False


def _read_variables() -> None:
    """Have Ray's library in this process read its variables, and the token, again."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
