"""MLflow's client, which leaves the environment, the loggers and the handles of the program that calls it as they were."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

CALLING = {
    # A server that is away must not hold anybody up: MLflow's own seven tries of two minutes each last a quarter of an hour.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing of a campaign goes elsewhere unasked
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two requests and two lines for each run that ends
    "MLFLOW_LOG_UV_FILES": "false",  # of the project in whose folder nrtune is called
}
"""Variables that MLflow reads at each call, and at its import; one that the user has set stays as it is."""

LOGGERS = ("mlflow", "alembic")

NO_PROXY = "no_proxy"
LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")
"""No proxy leads to this machine, whatever variables say; the range is understood by `requests`."""


class _Calls:
    """What calls under way have changed, in whatever thread; the last to end puts it back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.under_way = 0
        self.before: dict[str, str | None] = {}
        self.levels: dict[str, int] = {}

    def begin(self) -> None:
        with self.lock:
            self.under_way += 1
            if self.under_way > 1:
                return
            given = {name: value for name, value in CALLING.items() if name not in os.environ}
            without = os.environ.get(NO_PROXY) or os.environ.get(NO_PROXY.upper())
            given[NO_PROXY] = ",".join(filter(None, (without, *LOOPBACK)))
            self.before = {name: os.environ.get(name) for name in given}
            os.environ.update(given)
            for name in LOGGERS:
                self.levels[name] = logging.getLogger(name).level
                logging.getLogger(name).setLevel(logging.CRITICAL)  # what it raises it logs as well, with tracebacks

    def end(self) -> None:
        with self.lock:
            self.under_way -= 1
            if self.under_way:
                return
            for name, value in self.before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            for name, level in self.levels.items():
                logging.getLogger(name).setLevel(level)


_CALLS = _Calls()


@contextlib.contextmanager
def calling() -> Iterator[None]:
    """For calls of MLflow: few tries, no remarks, no bars, no telemetry; afterwards all is as it was."""
    _CALLS.begin()
    try:
        yield
    finally:
        _CALLS.end()


with calling(), warnings.catch_warnings():
    # MLflow's own use of SQLAlchemy and pydantic warns at import; nothing here can mend it.
    warnings.simplefilter("ignore")
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking import MlflowClient
    from sqlalchemy.exc import SQLAlchemyError

FAULTS = (MlflowException, SQLAlchemyError, OSError)
"""What calls of MLflow raise where a store is away, damaged or refuses."""


class ReplacedError(OSError):
    """A database is another file than the one that was opened, or none: what is written goes nowhere."""


class _Client:
    """MlflowClient, each call of which is `calling`; file: of a database whose replacement is noticed."""

    def __init__(self, uri: str, file: Path | None) -> None:
        if file is not None and (engine := SqlAlchemyStore._engine_map.get(uri)) is not None:
            engine.dispose()  # MLflow keeps handles by URI for as long as the program runs, of deleted files too
        with calling(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._file, self._opened = file, None if file is None else _identity(file)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            if self._file is not None and _identity(self._file) != self._opened:
                raise ReplacedError(f"{self._file} was removed or replaced")
            with calling():
                return value(*arguments, **named)

        return call


def open_client(uri: str, file: Path | None = None) -> MlflowClient:
    """A client for a tracking URI. file: of a SQLite database; calls raise ReplacedError once it is another one."""
    return cast(MlflowClient, _Client(uri, file))


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
