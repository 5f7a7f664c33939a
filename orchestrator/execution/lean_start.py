"""A start of Ray on this machine that does not wait for what it can do without, which a busy machine has not ready in time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from ray._private import parameter, ray_constants, services

LISTENING = "dashboard_agent_listen_port"
PORTS = ("metrics_agent_port", "runtime_env_agent_port", LISTENING)
"""Of two agents, programs of Python that import for seconds; what each serves no search asks for."""


@contextmanager
def lean_start() -> Iterator[dict[str, Any]]:
    """Options for `ray.init`, whose Ray, meanwhile, has agents with ports that are free, and neither autoscaler nor log monitor.

    A raylet of 2.60 ends if its agents have not told it their ports in 15 s, which can't be set: too few with five busy processes
    a core, or a network's file system that is cold. For ports that it is given it does not wait, but `ray.init` takes one of the
    four, and does not hand LISTENING on to it, for which it has an option as well.
    """
    parameters, start, ports = parameter.RayParams, services.start_ray_process, _free_ports(len(PORTS) + 1)
    given = dict(zip(PORTS, ports[1:], strict=True))

    def start_with_port(command: list[str], process_type: str, *arguments: Any, **options: Any) -> Any:
        if process_type == ray_constants.PROCESS_TYPE_RAYLET:
            command = [*command, f"--{LISTENING}={given[LISTENING]}"]
        return start(command, process_type, *arguments, **options)

    parameter.RayParams = partial(parameters, no_monitor=True, include_log_monitor=False, **given)
    services.start_ray_process = start_with_port
    try:
        yield {"_metrics_export_port": ports[0]}
    finally:
        parameter.RayParams, services.start_ray_process = parameters, start


def _free_ports(number: int) -> list[int]:
    """Ports of loopback at which nothing listens now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
