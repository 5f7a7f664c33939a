"""The thread that writes to MLflow: in order, never waited for, and nothing lost when it could not be written."""

from __future__ import annotations

import threading
import time

import pytest

from nrtune.orchestrator.tracking import publisher
from nrtune.orchestrator.tracking.publisher import Publisher


class Store:
    """What was written, and whether it can be."""

    def __init__(self) -> None:
        self.written: list[object] = []
        self.said: list[str] = []
        self.away = False
        self.wanted: list[object] = []  # what the books hold

    def open(self) -> Publisher:
        return Publisher(self.catch_up, self.said.append)

    def write(self, what: object) -> None:
        if self.away:
            raise ConnectionError("nobody\nanswers")
        self.written.append(what)

    def catch_up(self) -> None:
        for what in self.wanted:
            if what not in self.written:
                self.write(what)


def test_writes_come_in_order_and_all_before_the_last():
    store = Store()
    writer = store.open()
    for number in range(50):
        writer.put(lambda number=number: store.write(number))
    writer.close(lambda: store.write("end"))
    assert store.written == [*range(50), "end"]
    assert store.said == []


def test_nobody_waits_for_a_write_that_hangs():
    store, gate = Store(), threading.Event()
    writer = store.open()
    writer.put(gate.wait)
    writer.put(lambda: store.write("after"))  # returns, or this test never ends
    assert store.written == []
    gate.set()
    writer.close(lambda: store.write("end"))
    assert store.written == ["after", "end"]


def test_what_was_missed_is_written_at_the_end():
    store = Store()
    writer = store.open()
    store.away, store.wanted = True, ["a", "b"]
    tried = threading.Event()
    writer.put(lambda: store.write("a"))
    writer.put(lambda: store.write("b"))  # not tried: the store is left alone
    writer.put(tried.set)
    while not store.said:
        pass
    store.away = False
    writer.close(lambda: store.write("end"))
    assert not tried.is_set()
    assert store.written == ["a", "b", "end"]
    assert store.said == [
        "MLflow can't be written (ConnectionError: nobody answers); the search goes on",
        "MLflow can be written again",
    ]


def test_what_was_missed_is_written_as_soon_as_it_can_be(monkeypatch):
    monkeypatch.setattr(publisher, "AWAY_SECONDS", 0.0)
    store, done = Store(), threading.Event()
    writer = store.open()
    store.away, store.wanted = True, ["a", "b"]
    writer.put(lambda: store.write("a"))
    while not store.said:
        pass
    store.away = False
    writer.put(lambda: store.write("b"))
    writer.put(done.set)
    assert done.wait(10)
    assert store.written == ["b", "a"]
    writer.close(lambda: store.write("end"))
    assert store.written == ["b", "a", "end"]


def test_a_store_that_stays_away_ends_nothing_else():
    store = Store()
    store.away, store.wanted = True, ["a"]
    writer = store.open()
    writer.close(lambda: pytest.fail("not tried: it is away"))
    assert store.written == []
    assert len(store.said) == 1


def test_who_does_not_want_to_wait_for_a_write_that_hangs_leaves_it():
    store, gate = Store(), threading.Event()
    writer = store.open()
    writer.put(gate.wait)
    writer.put(lambda: store.write("after"))
    writer.close(lambda: store.write("end"), patience=0.1)
    assert store.said == [
        "waiting for MLflow; Ctrl-C leaves at once",
        "MLflow takes too long; the same command writes what it misses",
    ]
    gate.set()
    writer._thread.join()
    assert store.written == []  # the books may be closed by now


def test_patience_is_for_each_write():
    store = Store()
    writer = store.open()
    for number in range(20):
        writer.put(lambda number=number: (time.sleep(0.06), store.write(number)))
    writer.close(lambda: store.write("end"), patience=1.0)
    assert store.written == [*range(20), "end"]
    assert store.said == []
