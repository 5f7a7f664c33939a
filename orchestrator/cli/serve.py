"""The user interfaces of MLflow and Optuna over a campaign, on loopback until they are ended."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

from nrtune.analysis.sources.open import open_folder
from nrtune.orchestrator.execution.guardian import guarded, mark_of
from nrtune.orchestrator.execution.places import place_for_ray
from nrtune.orchestrator.state.given import check_given
from nrtune.orchestrator.state.locations import OPTUNA_VARIABLE, is_server, tracking_uri, with_password
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.secrets import redacted, without_password

HOST = "127.0.0.1"
BACKEND = "MLFLOW_BACKEND_STORE_URI"


def serve_mlflow(folder: Path, port: int) -> int:
    """Serve the campaign's MLflow UI on 127.0.0.1 until it is ended; returns its exit code."""
    uri = tracking_uri(folder)
    if is_server(uri):
        raise UserError(f"the campaign is tracked by a server: open {without_password(uri)} in a browser")
    from nrtune.orchestrator.tracking.anchor import anchored  # MLflow takes seconds to import
    from nrtune.orchestrator.tracking.trackers._mlflow_store import page_of

    _check_free(port)
    anchored(folder)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        HOST,
        "--port",
        str(port),
    ]
    page = f"http://{HOST}:{port}{page_of(uri, open_folder(folder).manifest)}"
    shown = f"{BACKEND}={shlex.quote(redacted(uri))} {shlex.join(command)}"
    sys.stderr.write(f"open {page} in a browser in about 10 s (Ctrl-C ends the server)\n{shown}\n")
    # A list of processes shows no environment. However this process ends, its guardian ends the server and what that has started.
    with guarded(place_for_ray()) as own:
        # What Python files lie in this folder is not MLflow's business.
        environment = {**os.environ, **mark_of(own), "PYTHONSAFEPATH": "1", BACKEND: uri}
        process = subprocess.Popen(command, env=environment)
        # A polite kill and a terminal that closes are as Ctrl-C, which reaches both.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, frame: process.terminate())
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
    return 0


def serve_optuna(folder: Path, port: int) -> None:
    """Serve optuna-dashboard over the campaign's studies until Ctrl-C."""
    identity = open_folder(folder).manifest["identity"]
    if identity["command"] != "search":
        raise UserError(f"{folder}: is a {identity['command']}, which Optuna proposes nothing for")
    from optuna_dashboard import run_server

    from nrtune.orchestrator.search.optuna_storage import read_storage  # Optuna takes a second to import

    check_given(folder, "optuna_storage", identity["optuna_storage"])
    _check_free(port)
    sys.stderr.write(f"open http://{HOST}:{port} in a browser (Ctrl-C ends the server)\n")
    storage = with_password(identity["optuna_storage"], OPTUNA_VARIABLE)
    run_server(read_storage(folder, storage), host=HOST, port=port)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise UserError(f"port {port} is taken; choose another with --port")
