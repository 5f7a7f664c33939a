"""The gate lets its user in, whatever cookies other servers of the machine have set in the same browser."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from nrtune.orchestrator.cli.gate import Gate, reads


def asked(gate: Gate, path: str = "/", query: str = "", cookie: str = "") -> tuple[str, dict[str, str]]:
    """The status and the headers of an answer."""
    found: list[tuple[str, dict[str, str]]] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "HTTP_HOST": "127.0.0.1:5000"}
    gate({**environ, "HTTP_COOKIE": cookie}, lambda status, headers, *_: found.append((status, dict(headers))))  # type: ignore
    return found[0]


@pytest.fixture
def gate() -> Gate:
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"in"]

    return Gate(5000, application, reads)


@pytest.mark.parametrize("other", ['a={"b": 1}', "a=b c", "=", "nrtune-5000=stale", "a=é", '"'])
def test_cookies_of_other_servers_keep_nobody_out(gate, other):
    status, headers = asked(gate, query=urlsplit(gate.link()).query)
    assert status == "200 OK"
    own = headers["Set-Cookie"].partition(";")[0]
    for cookie in (f"{other}; {own}", f"{own}; {other}"):
        assert asked(gate, cookie=cookie)[0] == "200 OK"
    assert asked(gate, cookie=other)[0] == "403 Forbidden"
    assert asked(gate, cookie=own.replace("=", "x="))[0] == "403 Forbidden"
