"""Server processes for tests, MLflow's above all."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def served(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that answers on a port of this machine; ended with all its children."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, start_new_session=True, **quiet)
    try:
        deadline = time.monotonic() + 300
        while not answers(f"http://127.0.0.1:{port}/"):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server never answered"
            time.sleep(0.3)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:  # how long a server takes to end is not what is tried
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Door(NamedTuple):
    """A way to a server, and what was asked through it: method, path and body of each request."""

    uri: str
    asked: list[str]


@contextmanager
def door_to(behind: str, login: str | None = None) -> Iterator[Door]:
    """A door to a server, which opens to one login USER:PASSWORD only, or to all."""
    wanted = None if login is None else "Basic " + base64.b64encode(login.encode()).decode()
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path} {body.decode(errors='replace')}")
            status, kind, found = 401, "text/plain", b"no"
            if wanted is None or self.headers.get("Authorization") == wanted:
                headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
                request = urllib.request.Request(behind + self.path, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        status, kind, found = answer.status, answer.headers.get_content_type(), answer.read()
                except urllib.error.HTTPError as error:
                    status, kind, found = error.code, error.headers.get_content_type(), error.read()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Door(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def mlflow_server(folder: Path, port: int, *artifacts: str) -> list[str]:
    """The command of a server that keeps its records in a folder, and its artifacts as `artifacts` say, else there, too."""
    store = ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    store += artifacts or ("--artifacts-destination", str(folder / "store"))
    return [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *store]
