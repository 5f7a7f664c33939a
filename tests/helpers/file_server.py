"""A server of files on loopback that can misbehave: what `nrtune data fetch` meets outside."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclasses.dataclass
class Served:
    """A file and how it is served.

    encoding: what is said of it; compresses: on the way to those who take that. cuts: bytes after which the next answers
    break off. statuses: of the next answers. stall: bytes after which an answer stops.
    """

    content: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    heeds_if_range: bool = True
    length: bool = True
    encoding: str | None = None
    compresses: bool = False
    cuts: list[int] = dataclasses.field(default_factory=list)
    statuses: list[int] = dataclasses.field(default_factory=list)
    stall: int | None = None


@dataclasses.dataclass
class Request:
    """What was asked, and how many bytes of content it got."""

    path: str
    range: str | None
    sent: int = 0


class FileServer:
    """Files by path, and the requests so far. A stalled answer goes no further before `go_on` is set."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[Request] = []
        self.go_on = threading.Event()
        self.url = ""

    def serve(self, path: str, content: bytes, **how: object) -> Served:
        self.files[path] = Served(content, **how)
        return self.files[path]

    def of(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


@contextlib.contextmanager
def running() -> Iterator[FileServer]:
    server = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            request = Request(self.path, self.headers.get("Range"))
            server.requests.append(request)
            with contextlib.suppress(ConnectionError):
                _answer(self, server, request)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = False  # so that the server's end waits for theirs
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        http.shutdown()
        http.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, server: FileServer, request: Request) -> None:
    file = server.files.get(request.path)
    status = 404 if file is None else file.statuses.pop(0) if file.statuses else 200
    if file is None or status != 200:
        handler.send_error(status)
        return
    content, first, encoding = file.content, 0, file.encoding
    if file.compresses and "gzip" in handler.headers.get("Accept-Encoding", ""):
        content, encoding = gzip.compress(content), "gzip"
    asked = re.fullmatch(r"bytes=(\d+)-", request.range or "")
    same = not file.heeds_if_range or handler.headers.get("If-Range") in (None, file.etag)
    if asked and file.ranges and same:
        first = int(asked[1])
        if first >= len(content):
            handler.send_error(416)
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
    else:
        handler.send_response(200)
    if file.length:
        handler.send_header("Content-Length", str(len(content) - first))
    for name, value in (("ETag", file.etag), ("Content-Encoding", encoding)):
        if value is not None:
            handler.send_header(name, value)
    handler.end_headers()
    rest = content[first:]
    if file.stall is not None:
        handler.wfile.write(rest[: file.stall])
        request.sent += len(rest[: file.stall])
        server.go_on.wait(30)
        return
    if file.cuts:
        rest = rest[: file.cuts.pop(0)]
    handler.wfile.write(rest)
    request.sent += len(rest)
