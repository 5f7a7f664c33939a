"""Ray, started while the driver opens its books."""

from __future__ import annotations

import threading

import ray

from orchestrator.ray_run import start_ray


class RayAhead:
    """Starts Ray in a thread: that is mostly waiting for its processes, seconds that MLflow's tables take as well.

    In a notebook or a test, a Ray that runs already is used and left running.
    """

    def __init__(self, address: str | None) -> None:
        self._address, self._ours = address, not ray.is_initialized()
        self._error: BaseException | None = None
        self._there, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._start, name="Ray")
        self._thread.start()

    def wait(self) -> None:
        """Wait until Ray is there. Raises UserError where no cluster answers, and what Ray raises else."""
        self._there.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End what was started."""
        self._over.set()
        self._thread.join()

    def _start(self) -> None:
        """Start and end Ray: its processes are killed when the thread that started them ends."""
        try:
            if self._ours:
                start_ray(self._address)
        except BaseException as error:  # raised where it is waited for
            self._error = error
        self._there.set()
        self._over.wait()
        if self._ours:
            ray.shutdown()
