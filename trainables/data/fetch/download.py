"""Downloads by pooch that go on where they were interrupted.

pooch makes the requests; what it writes into here is a part that outlives them
(nrtune.trainables.data.fetch.partial_file): the next request asks for the rest (Range), provided that it is still of the
same content (If-Range).
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pooch
import requests

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.data.fetch.partial_file import (
    ChangedError,
    PartialDownload,
    RefusedError,
    discard,
    part_size,
    read_note,
)

TIMEOUT = 30.0
"""Seconds without an answer, or without a byte, after which a server counts as gone."""

WAITS = (1.0, 4.0, 10.0)
"""Seconds before a request is made again that failed half-way; as many times in a row without a new byte as there are."""

CHUNK = 1 << 14
"""Bytes that pooch reads at a time; of what a broken connection sent, less than that is lost."""

SMALL = 1 << 20
"""Bytes of the largest answer that is read into memory."""

_TRY_AGAIN = (429, 500, 502, 503, 504)
_MIRROR = "or give --mirror URL of a server that has a copy"
_LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class UnavailableError(UserError):
    """One address has not got a file; another may."""


class OfflineError(UnavailableError):
    """A server that can't be reached, so neither can what else it has."""


class _Sink(Protocol):
    """What pooch writes into; it sees the head of an answer first."""

    begun: bool

    def begin(self, response: requests.Response) -> None: ...
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


class _Memory:
    """A small answer."""

    def __init__(self) -> None:
        self.begun, self.content = False, io.BytesIO()

    def begin(self, response: requests.Response) -> None:
        self.begun = True

    def write(self, data: bytes, /) -> int:
        if self.content.tell() + len(data) > SMALL:
            raise RefusedError("an answer that should be short is over 1 MB")
        return self.content.write(data)

    def flush(self) -> None:
        pass


def download(urls: Sequence[str], part: Path, *, max_bytes: int, size: int | None = None, label: str) -> str:
    """Leave the whole content of the first address that has it in `part`; returns that address.

    A part of an earlier call is gone on with, if the server can send a rest and its content is still the same; one that
    is whole costs no request. size: bytes, where they are known. label: of the progress bar.

    Raises UnavailableError if no address has it (OfflineError: no server is reached), RefusedError for a wrong size, and
    UserError for a connection that is lost again and again: then the part stays, and the next call goes on with it.
    """
    known = read_note(part)
    if known is not None and known.url in urls and known.total == part_size(part) and size in (None, known.total):
        return known.url
    refusals: list[UnavailableError] = []
    gone: set[str] = set()
    for url in urls:
        if host_of(url) in gone:
            continue
        try:
            _download(url, part, max_bytes, size, label)
            return url
        except UnavailableError as error:
            refusals.append(error)
            if isinstance(error, OfflineError):
                gone.add(host_of(url))
    raise refusals[0]


def read_small(url: str) -> bytes:
    """An answer of at most 1 MB. Raises UnavailableError, OfflineError, UserError."""
    waits = iter(WAITS)
    while True:
        memory = _Memory()
        try:
            _request(url, memory, {})
            return memory.content.getvalue()
        except requests.RequestException as error:
            _wait_or_raise(url, error, memory.begun, waits)


def host_of(url: str) -> str:
    """The server that an address names."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _download(url: str, part: Path, max_bytes: int, size: int | None, label: str) -> None:
    waits, progressed = iter(WAITS), False
    while True:
        known, before = read_note(part), part_size(part)
        headers = {}
        if before and known is not None and known.url == url:
            headers["Range"] = f"bytes={before}-"
            if known.validator:
                headers["If-Range"] = known.validator
        sink = PartialDownload(part, url, max_bytes=max_bytes, size=size, label=label)
        try:
            _request(url, sink, headers)
            sink.finish()
            return
        except ChangedError:  # only an answer to Range is one: without a part the next request has none
            discard(part)
        except RefusedError:
            discard(part)
            raise
        except requests.RequestException as error:
            status = None if error.response is None else error.response.status_code
            if "Range" in headers and status == requests.codes.requested_range_not_satisfiable:
                discard(part)
                continue
            if part_size(part) > before:
                waits, progressed = iter(WAITS), True
            _wait_or_raise(url, error, sink.begun or progressed, waits, part)
        finally:
            sink.close()


def _request(url: str, sink: _Sink, headers: dict[str, str]) -> None:
    """One request by pooch, redirects included. Raises what requests raises, and what the sink does."""
    answers = []

    def see(response: requests.Response, **_: object) -> None:
        answers.append(response)
        if response.ok and not response.is_redirect:
            sink.begin(response)

    # As it is stored: of a file that is compressed for the way, neither a rest nor a size would be the file's.
    headers = {"User-Agent": "nrtune", "Accept-Encoding": "identity", **headers}
    fetch = pooch.HTTPDownloader(chunk_size=CHUNK, timeout=TIMEOUT, headers=headers, hooks={"response": see})
    try:
        fetch(url, sink, None)
    finally:
        for answer in answers:
            answer.close()


def _wait_or_raise(
    url: str, error: requests.RequestException, begun: bool, waits: Iterator[float], part: Path | None = None
) -> None:
    """Wait before another try, or say in one sentence why there is none."""
    host, answer, lost = host_of(url), error.response, isinstance(error, _LOST)
    if (answer is not None and answer.status_code in _TRY_AGAIN) or (answer is None and lost and begun):
        if (wait := next(waits, None)) is not None:
            time.sleep(wait)
            return
    if answer is not None:
        said = f"{answer.status_code} {answer.reason}"
        if answer.status_code < 500:
            raise UnavailableError(f"{url}: is not to be had ({said}); look whether it has moved, {_MIRROR}") from error
        raise UnavailableError(f"{host}: answers {said}; try again later, {_MIRROR}") from error
    if lost and not begun:
        raise OfflineError(f"{host}: can't be reached ({_why(error)}); try again once it can, {_MIRROR}") from error
    if lost:
        have = f" after {part_size(part)} bytes; the same command again goes on from there" if part else "; try again"
        raise UserError(f"{host}: the connection was lost{have}") from error
    raise UnavailableError(f"{url}: can't be fetched ({one_line(error)})") from error


def _why(error: BaseException) -> str:
    """What is behind an exception of requests, in a few words."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, socket.gaierror):
            return "its name is not known"
        if isinstance(inner, ConnectionRefusedError):
            return "connection refused"
        if isinstance(inner, TimeoutError | requests.Timeout):
            return f"no answer within {TIMEOUT:g} seconds"
        inner = inner.__cause__ or inner.__context__
    return one_line(error, 120)
