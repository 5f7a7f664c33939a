"""Faults of what stands around a search. One is a function: what is before its `yield` plants it, what is behind undoes it.

`before` a start, with which the search goes on: what is yielded is nothing. `refused`: a start that must not come to a Ray;
yielded is what it has to say. `during` the search: yielded is the event up to which the fault stays, at the end of the search
at the latest. `ending`, without a `yield`: it ends the search, and returns the exit codes that are right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from stage import Stage


class Fault(NamedTuple):
    """One of the table. at_server: only where the search is tracked at the server, or not there; None: anywhere.

    own_disk: only where folders are file systems of their own, which takes root.
    """

    name: str
    plant: Callable[..., AbstractContextManager[Any]]
    at_server: bool | None
    own_disk: bool


BEFORE: list[Fault] = []
REFUSED: list[Fault] = []
DURING: list[Fault] = []
ENDING: dict[str, Callable[[Stage], Collection[int]]] = {}

Add = Callable[[Callable[..., Iterator[Any]]], None]


def before(*, at_server: bool | None = None) -> Add:
    return _in(BEFORE, at_server=at_server)


def refused(*, own_disk: bool = False) -> Add:
    return _in(REFUSED, own_disk=own_disk)


def during(*, at_server: bool | None = None, own_disk: bool = False) -> Add:
    return _in(DURING, at_server=at_server, own_disk=own_disk)


def ending(function: Callable[[Stage], Collection[int]]) -> None:
    ENDING[function.__name__] = function


def _in(table: list[Fault], *, at_server: bool | None = None, own_disk: bool = False) -> Add:
    def add(function: Callable[..., Iterator[Any]]) -> None:
        table.append(Fault(function.__name__, contextmanager(function), at_server, own_disk))

    return add


def fill(folder: Path) -> Path:
    """A file that leaves no byte on a folder's disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
    return filler
