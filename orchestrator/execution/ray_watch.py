"""Whether Ray's own processes live: without them its library waits, or ends this process after a minute."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray

from nrtune.analysis.wording import shell_path
from nrtune.orchestrator.lifecycle.circuit_breaker import EnvironmentBroken
from nrtune.orchestrator.lifecycle.interrupts import SignalGuard

SECONDS = 1.0
"""Between two looks at them."""

AWAY_SECONDS = 25.0
"""A joined cluster's GCS may be started again behind its database; after 60 s Ray ends the process that waits for it."""

SHUTDOWN_SECONDS = 10.0

_ESSENTIAL = ("raylet", "gcs_server")


@contextmanager
def ray_watched(guard: SignalGuard | None, logs: Path | None) -> Iterator[None]:
    """Leave the block where a process dies without which Ray does nothing.

    guard: asked to leave. logs: the folder to which Ray's are copied then. Raises EnvironmentBroken, whatever Ray itself raises.
    """
    node: Any = ray._private.worker._global_node
    ours = bool(node.all_processes)
    dead: Callable[[], str | None] = (lambda: _ended(node)) if ours else _unreachable(node.gcs_address)
    over, lost = threading.Event(), list[str]()

    def watch() -> None:
        while not lost and not over.wait(SECONDS):
            if (said := dead()) is not None:
                lost.append(said)
                if guard is not None:
                    guard.leave(over)

    thread = threading.Thread(target=watch, name="nrtune-ray-watch", daemon=True)
    thread.start()
    try:
        yield
    except (Exception, KeyboardInterrupt, EnvironmentBroken):
        over.set()
        if guard is not None and guard.asked:  # what reached its process group may have reached them first
            raise
        said = lost[0] if lost else dead()
        if said is None:
            raise
        kept = keep_logs([Path(node.get_logs_dir_path())], logs) if ours else ""
        raise EnvironmentBroken(
            f"Ray's {said} while the search ran{kept}; nothing that was recorded is lost: start the same command again"
        ) from None
    finally:
        over.set()
        thread.join()


def shut_down() -> None:
    """Stop Ray, and where its processes are dead already do not wait for ever for what they would answer."""
    node = ray._private.worker._global_node
    if node is None or _ended(node) is None:
        ray.shutdown()
        return
    thread = threading.Thread(target=ray.shutdown, name="nrtune-ray-shutdown", daemon=True)
    thread.start()
    thread.join(SHUTDOWN_SECONDS)


def _ended(node: Any) -> str | None:
    """Which of the processes that this one has started has ended, and how."""
    for name in _ESSENTIAL:
        for started in node.all_processes.get(name, ()):
            if (code := started.process.poll()) is not None:
                return f"{name} {f'was killed by signal {-code}' if code < 0 else f'ended with code {code}'}"
    return None


def _unreachable(address: str) -> Callable[[], str | None]:
    """What says whether the GCS at an address has not answered for too long."""
    host, _, port = address.rpartition(":")
    answered = time.monotonic()

    def look() -> str | None:
        nonlocal answered
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS).close()
            answered = time.monotonic()
        except OSError as error:
            if time.monotonic() - answered > AWAY_SECONDS:
                return f"head at {address} did not answer for {AWAY_SECONDS:.0f} s ({error.strerror or error})"
        return None

    return look


def keep_logs(found: Iterable[Path], logs: Path | None) -> str:
    """Copy Ray's logs to another folder, and say in a clause where they are; nothing without one."""
    if logs is None:
        return ""
    for folder in found:
        with suppress(OSError, shutil.Error):
            shutil.copytree(folder, logs, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    return f"; its logs are in {shell_path(logs)}"
