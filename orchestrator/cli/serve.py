"""The user interfaces of MLflow and Optuna over a campaign, on loopback and for whoever started them, until they are ended."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nrtune.analysis.sources.mlflow_local import to_read
from nrtune.analysis.sources.open import open_folder
from nrtune.orchestrator.cli.gate import HOST, Gate, reads
from nrtune.orchestrator.search.optuna_storage import read_storage
from nrtune.orchestrator.state.given import check_given
from nrtune.orchestrator.state.locations import (
    ARTIFACTS,
    DATABASE,
    OPTUNA_VARIABLE,
    default_uri,
    is_server,
    tracking_uri,
    with_password,
)
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.secrets import without_password

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

IDLE = 60.0
"""Seconds after which a connection that says nothing is closed."""


def serve_mlflow(folder: Path, port: int, *, write: bool = False) -> None:
    """Serve the campaign's MLflow pages on 127.0.0.1 until Ctrl-C; write: let them change notes and tags, and delete."""
    uri = tracking_uri(folder)
    if is_server(uri):
        raise UserError(f"the campaign is tracked by a server: open {without_password(uri)} in a browser")
    with _listening(port) as listener:
        from nrtune.orchestrator.tracking import confined  # MLflow takes seconds to import
        from nrtune.orchestrator.tracking.trackers._mlflow_store import page_of

        with _store(folder, write=write) as store:
            page = page_of(store, open_folder(folder).manifest)
            application = confined.application(store, folder.resolve() / ARTIFACTS, is_own=uri == default_uri(folder))
            _serve(listener, application, confined.writes if write else confined.reads, page)


def serve_optuna(folder: Path, port: int, *, write: bool = False) -> None:
    """Serve optuna-dashboard over the campaign's studies until Ctrl-C; write: let it change and delete them."""
    identity = open_folder(folder).manifest["identity"]
    if identity["command"] != "search":
        raise UserError(f"{folder}: is a {identity['command']}, which Optuna proposes nothing for")
    check_given(folder, "optuna_storage", identity.get("optuna_storage"))
    with _listening(port) as listener:
        import optuna_dashboard

        storage = read_storage(folder, with_password(identity.get("optuna_storage"), OPTUNA_VARIABLE))
        application = optuna_dashboard.wsgi(storage)
        _serve(listener, application, (lambda method, path: True) if write else reads, "/")


@contextmanager
def _store(folder: Path, *, write: bool) -> Iterator[str]:
    """The URI of the campaign's store, its artifacts found here; of one that may only be read a copy, removed afterwards."""
    from nrtune.orchestrator.tracking.anchor import anchor_or_refuse, anchored

    uri = anchored(folder, to_write=write)
    store, copied = to_read(uri)
    try:
        if copied is not None and uri == default_uri(folder):
            anchor_or_refuse(folder, open_folder(folder).manifest, copied / DATABASE)
        yield store
    finally:
        if copied is not None:
            shutil.rmtree(copied, ignore_errors=True)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """The port, taken before anything is prepared that takes long."""
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise UserError(f"port {port} is taken; choose another with --port ({error.strerror})") from error
    with listener:
        yield listener


def _serve(
    listener: socket.socket, application: WSGIApplication, allows: Callable[[str, str], bool], page: str
) -> None:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        timeout = IDLE

        def log(self, type: str, message: str, *args: object) -> None:
            """Say nothing of requests: their addresses may hold the token."""

    port = listener.getsockname()[1]
    gate = Gate(port, application, allows)
    server = make_server(HOST, port, gate, threaded=True, request_handler=Handler, fd=listener.fileno())
    # A polite kill and a terminal that closes are as Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    sys.stderr.write(f"open {gate.link(page)} in a browser; the link opens once (Ctrl-C ends the server)\n")
    sys.stderr.flush()
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    server.server_close()
