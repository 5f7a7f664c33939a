"""Ray while a campaign runs: joined, or started on this machine and stopped again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray
from ray._common.utils import get_system_memory
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray.job_config import JobConfig

from nrtune.orchestrator.execution.address import VARIABLE, address_of, own_ray
from nrtune.orchestrator.execution.as_found import loggers_as_found, temporary_files_in, variables_as_found
from nrtune.orchestrator.execution.guardian import end_processes, guarded, mark_of
from nrtune.orchestrator.execution.lean_start import lean_start
from nrtune.orchestrator.execution.limits import memory_limit, usable_cores
from nrtune.orchestrator.execution.places import place_for_ray
from nrtune.orchestrator.execution.private_ray import is_on_loopback_alone, on_loopback, private_ray
from nrtune.orchestrator.execution.ray_watch import keep_logs, ray_watched, shut_down
from nrtune.orchestrator.lifecycle.interrupts import SignalGuard
from nrtune.trainables.core.errors import UserError, one_line

VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_agent_register_timeout_ms": "300000",  # 30 s are too few on a busy machine
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # trials stay in the driver's folder
    "RAY_AIR_NEW_OUTPUT": "0",  # its banner ignores verbose=0
    "RAY_ROTATION_MAX_BYTES": "10000000",  # what a worker prints goes without end into one file otherwise
    "RAY_ROTATION_BACKUP_COUNT": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C comes to us
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",  # the searcher says how many; else workers start one by one
}
"""What Ray is told while a campaign runs; a user's own Ray Tune, in the same notebook, has its own."""

OBJECT_STORE = 0.3
"""Its share of the memory, as Ray has it."""

OBJECT_STORE_LEAST = 80_000_000
"""Bytes; Ray refuses less than 75 MB."""

ATTEMPTS = 3
"""To start Ray on this machine. Its node has 30 s for that, which can't be set: one that is busy with other work takes longer at
times, as does a network's file system the first time."""

LEVELS = {"ray": logging.ERROR, "ray.tune": logging.CRITICAL}  # it logs a traceback for every worker that dies


class _OwnPath(JobConfig):
    """Workers import what is installed, and nothing of the folder in which the user called the driver.

    Ray puts that folder and the script's in front of their path: a file analysis.py of the user's would stand for ours.
    """

    def _serialize(self) -> bytes:
        self._py_driver_sys_path.clear()
        return bytes(super()._serialize())


@contextmanager
def ray_session(
    address: str | None,
    guard: SignalGuard | None = None,
    logs: Path | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Iterator[None]:
    """Ray while it is needed; in a notebook or a test, one that runs already is used and left running.

    Its processes are forked, and killed when the thread ends that did that: this one, which meanwhile computes nothing
    (a fork waits for ever for threads of a matrix product). Variables and loggers are as before at the end, and of a Ray that was
    started nothing is left, be it a process or a file. guard: asked to leave when Ray dies. logs: the folder to which its own are
    copied then. say: told of a start that is tried again. Raises UserError where no cluster answers, EnvironmentBroken where Ray
    dies.
    """
    ours = not ray.is_initialized()
    local = ours and address_of(address) is None
    with (
        variables_as_found("RAY_", "TUNE_"),
        loggers_as_found("", *LEVELS),
        guarded(place_for_ray()) if local else nullcontext() as folder,
        temporary_files_in(folder),
        private_ray(folder) if folder is not None else nullcontext() as rays,
    ):
        os.environ.update(VARIABLES)
        if ours:
            start_ray(address, rays, logs, guard, say)
        for name, level in LEVELS.items():
            logging.getLogger(name).setLevel(level)
        try:
            with ray_watched(guard, logs):
                yield
        finally:
            if ours:
                shut_down()


def start_ray(
    address: str | None,
    folder: Path | None = None,
    logs: Path | None = None,
    guard: SignalGuard | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> None:
    """Join the cluster at an address, or that of a Ray job in which this runs; else start a Ray on this machine.

    It has the cores and the memory that this process may use. Ray itself would join whatever cluster runs here. folder: for its
    sockets and logs, Ray's own if None, and guarded otherwise; a start that fails there is tried again. logs: where its logs are
    copied if none does. guard: asked whether to leave before another. say: told of each. Raises UserError where none answers.
    """
    if joined := address_of(address):
        try:
            own = own_ray() if joined == "auto" and os.environ.get(VARIABLE, "").strip() in ("", "auto") else None
            with _found(own), on_loopback() if is_on_loopback_alone(own or joined) else nullcontext():
                _init(joined)
        except UserError:
            raise
        except Exception as error:
            named = f"--address {address}" if address else f"RAY_ADDRESS={joined} (in the environment)"
            raise UserError(f"{named}: no Ray cluster answers ({one_line(error)})") from error
        return
    for left in reversed(range(1 if folder is None else ATTEMPTS)):
        try:
            with _marked(folder), on_loopback(), lean_start() as options:
                _init("local", **_local(folder), **options)
        except Exception as error:  # no class of its own where a node has not come up in time
            if folder is None or not left:
                tried = "" if folder is None else f", tried {ATTEMPTS} times"
                kept = keep_logs(() if folder is None else folder.glob("session_2*/logs"), logs)
                raise UserError(f"Ray did not start on this machine{tried} ({one_line(error)}){kept}") from error
            shut_down()
            end_processes(folder.parent)
            if guard is not None:
                guard.listen()
                guard.leave_if_asked()
            say(f"Ray did not start ({one_line(error)}), as on a busy machine; trying again, {left} times at most")
        else:
            return


def _init(address: str, **options: Any) -> None:
    """Ray's own start, quiet."""
    ray.init(address=address, job_config=_OwnPath(), log_to_driver=False, logging_level=LEVELS["ray"], **options)


@contextmanager
def _marked(folder: Path | None) -> Iterator[None]:
    """What is started meanwhile belongs to the guarded folder around Ray's, as does all that this starts."""
    with variables_as_found(*(mark := {} if folder is None else mark_of(folder.parent))):
        os.environ.update(mark)
        yield


@contextmanager
def _found(address: str | None) -> Iterator[None]:
    """Have Ray take an address for `auto`, if there is one, and look for none itself; with a token as for one that it finds."""
    with variables_as_found(VARIABLE):
        if address is not None:
            os.environ[VARIABLE] = address
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        yield


def _local(folder: Path | None) -> dict[str, Any]:
    """What a Ray on this machine is started with."""
    options: dict[str, Any] = {"num_cpus": usable_cores(), "include_dashboard": False}
    options["_temp_dir"] = None if folder is None else str(folder)
    memory = memory_limit()
    if memory is None or memory >= get_system_memory():  # Ray's knows the outermost group's
        return options
    store = max(OBJECT_STORE_LEAST, int(OBJECT_STORE * memory))
    return options | {"object_store_memory": store, "_memory": memory - store}
