"""Lets the one user in to a server on loopback: this machine's other accounts, and pages elsewhere in his browser, reach it too.

A link holds a token that opens once; whoever opens it gets a cookie.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost", "::1")
"""Names of this machine in an address; the port may be another, as that of a tunnel's end."""

READING = ("GET", "HEAD")
TOKEN = "token"  # noqa: S105  # the name of a parameter

HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)
"""Of every answer: no other page shows or reads it."""

_WELCOME = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>nrtune</title>
<script>location.replace("/" + location.hash)</script></head>
<body><noscript><a href="/">Open</a></noscript></body></html>
"""
"""A redirection would not do: a browser sends no strict cookie on one that began at another page."""


def reads(method: str, path: str) -> bool:
    """Whether a request is one that changes nothing, going by its method."""
    return method in READING


class Gate:
    """A WSGI application before another, which sees the requests of the one user alone.

    allows: whether a request of that user, its method and path, may go on.
    """

    def __init__(self, port: int, application: WSGIApplication, allows: Callable[[str, str], bool]) -> None:
        self._port, self._application, self._allows = port, application, allows
        self._token, self._session = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._cookie = f"nrtune-{port}"
        self._unused = threading.Lock()

    def link(self, page: str = "/") -> str:
        """The address that opens once; page: what follows the host, with a fragment."""
        path, _, fragment = page.partition("#")
        return f"http://{HOST}:{self._port}{path}?{TOKEN}={self._token}" + (f"#{fragment}" if fragment else "")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or have the application answer it."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
        if (wrong := _elsewhere(environ)) is not None:
            return _refuse(start_response, wrong)
        token = parse_qs(environ.get("QUERY_STRING", "")).get(TOKEN, [""])[0] if path == "/" and method == "GET" else ""
        if not self._is_known(environ):
            if not token:
                return _refuse(start_response, "open the link that nrtune ui printed")
            if not secrets.compare_digest(token.encode(), self._token.encode()) or not self._unused.acquire(False):
                return _refuse(start_response, "the link opens once; start nrtune ui again for another")
        if token:
            cookie = f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"
            start_response("200 OK", [*_text("html", _WELCOME), ("Set-Cookie", cookie)])
            return [_WELCOME]
        if not self._allows(method, path):
            return _refuse(start_response, "nrtune ui shows and changes nothing, unless it is started with --write")

        def guarded(status: str, headers: list[tuple[str, str]], *error: object) -> object:
            own = {name.lower() for name, _ in HEADERS}
            return start_response(status, [*(h for h in headers if h[0].lower() not in own), *HEADERS], *error)  # type: ignore[arg-type]

        return self._application(environ, guarded)  # type: ignore[arg-type]

    def _is_known(self, environ: WSGIEnvironment) -> bool:
        # By hand: http.cookies takes none of them where that of another server on this machine is odd, such as {"a": 1}.
        cookies = (one.strip().partition("=") for one in environ.get("HTTP_COOKIE", "").split(";"))
        found = [value for name, _, value in cookies if name == self._cookie]
        return any(secrets.compare_digest(value.encode(), self._session.encode()) for value in found)


def _elsewhere(environ: WSGIEnvironment) -> str | None:
    """Why a request is taken for that of a page elsewhere."""
    host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in LOOPBACK:
        return "the address is not one of this machine's own names"
    if origin is not None and origin != f"http://{host}":
        return "the request is of another page"
    # What a page elsewhere has a browser load or call; a link to here that it follows brings no cookie.
    if environ.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin"):
        return None
    followed = environ.get("HTTP_SEC_FETCH_MODE") == "navigate" and environ.get("HTTP_SEC_FETCH_DEST") == "document"
    return None if followed and environ["REQUEST_METHOD"] == "GET" else "the request is of another page"


def _text(kind: str, content: bytes) -> list[tuple[str, str]]:
    """The headers of an answer of the gate's own."""
    about = [("Content-Type", f"text/{kind}; charset=utf-8"), ("Content-Length", str(len(content)))]
    return [*about, ("Cache-Control", "no-store"), *HEADERS]


def _refuse(start_response: StartResponse, why: str) -> list[bytes]:
    content = f"nrtune: {why}\n".encode()
    start_response("403 Forbidden", _text("plain", content))
    return [content]
