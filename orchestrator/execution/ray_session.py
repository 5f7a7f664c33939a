"""Ray while a campaign runs: joined, or started on this machine and stopped again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.job_config import JobConfig

from nrtune.orchestrator.execution.cluster import address_of
from nrtune.trainables.core.errors import UserError, one_line


class _OwnPath(JobConfig):
    """Workers import what is installed, and nothing of the folder in which the user called the driver.

    Ray puts that folder and the script's in front of their path: a file analysis.py of the user's would stand for ours.
    """

    def _serialize(self) -> bytes:
        self._py_driver_sys_path.clear()
        return bytes(super()._serialize())


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Ray while it is needed; in a notebook or a test, one that runs already is used and left running.

    Its processes are forked, and killed when the thread ends that did that: this one, which meanwhile computes nothing
    (a fork waits for ever for threads of a matrix product). Raises UserError where no cluster answers.
    """
    ours = not ray.is_initialized()
    if ours:
        start_ray(address)
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def start_ray(address: str | None) -> None:
    """Join the cluster at an address, or that of a Ray job in which this runs; else start a Ray on this machine.

    Ray itself would join whatever cluster runs here. Raises UserError where none answers.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it logs a traceback for every worker that dies
    address = address_of(address)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            job_config=_OwnPath(),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"--address {address}: no Ray cluster answers ({one_line(error)})") from error
