"""The thread that writes to a tracker: in order, never waited for, a fault with one run costs that run, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from command_line import wait_until

from nrtune.orchestrator.tracking import publisher
from nrtune.orchestrator.tracking.publisher import IN_A_ROW, Publisher, Write

PATIENCE = 60.0


class Store:
    """What was written, and whether it can be: the whole store away, or writes of some that it refuses."""

    def __init__(self) -> None:
        self.written: list[object] = []
        self.said: list[str] = []
        self.shown = [""]
        self.away = False
        self.refused: set[object] = set()
        self.wanted: list[object] = []  # what the records hold
        self.tried = 0

    def open(self) -> Publisher:
        return Publisher(self, self.said.append, self.shown.append)

    def write(self, what: object) -> None:
        self.tried += 1
        if self.away:
            raise ConnectionError("nobody\nanswers")
        if what in self.refused:
            raise ValueError("not that")
        self.written.append(what)

    def reopen(self) -> None:
        if self.away:
            raise ConnectionError("nobody\nanswers")

    def missing(self) -> Iterator[tuple[Write, str]]:
        for what in self.wanted:
            if what not in self.written:
                yield lambda what=what: self.write(what), str(what)


def test_writes_come_in_order_and_all_before_the_last():
    store = Store()
    writer = store.open()
    for number in range(50):
        writer.put(lambda number=number: store.write(number))
    writer.close(lambda: store.write("end"), PATIENCE)
    assert store.written == [*range(50), "end"]
    assert store.said == []


def test_nobody_waits_for_a_write_that_hangs():
    store, gate = Store(), threading.Event()
    writer = store.open()
    writer.put(gate.wait)
    writer.put(lambda: store.write("after"))  # returns, or this test never ends
    assert store.written == []
    gate.set()
    writer.close(lambda: store.write("end"), PATIENCE)
    assert store.written == ["after", "end"]


def test_what_was_missed_is_written_at_the_end():
    store = Store()
    writer = store.open()
    store.away, store.wanted = True, ["a", "b"]
    tried = threading.Event()
    writer.put(lambda: store.write("a"), "a")
    writer.put(lambda: store.write("b"), "b")  # not tried: the store is left alone
    writer.put(tried.set)
    wait_until(lambda: store.shown[-1], "what is so is shown")
    store.away = False
    writer.close(lambda: store.write("end"), PATIENCE)
    assert not tried.is_set()
    assert store.written == ["a", "b", "end"]
    assert store.said == [
        "MLflow can't be written (ConnectionError: nobody answers); the search goes on",
        "MLflow can be written again",
    ]
    assert store.shown[1].startswith("MLflow: not written since ")
    assert store.shown[-1] == ""


def test_what_was_missed_is_written_as_soon_as_it_can_be(monkeypatch):
    monkeypatch.setattr(publisher, "AWAY_SECONDS", 0.0)
    store, done = Store(), threading.Event()
    writer = store.open()
    store.away, store.wanted = True, ["a"]
    writer.put(lambda: store.write("a"), "a")
    wait_until(lambda: store.said, "it is said")
    store.away = False
    writer.put(lambda: store.write("b"), "b")
    writer.put(done.set)
    assert done.wait(10)
    assert set(store.written) == {"a", "b"}
    writer.close(lambda: store.write("end"), PATIENCE)
    assert [store.written.count(what) for what in ("a", "b", "end")] == [1, 1, 1]


def test_a_store_that_stays_away_is_said_once_and_ends_nothing_else(monkeypatch):
    monkeypatch.setattr(publisher, "AWAY_SECONDS", 0.0)
    store = Store()
    store.away, store.wanted = True, ["a"]
    writer = store.open()
    for _ in range(5):
        writer.put(lambda: store.write("a"), "a")
    writer.close(lambda: store.write("end"), PATIENCE)
    assert store.written == []
    assert len(store.said) == 1
    assert writer.away


def test_a_run_that_is_refused_costs_itself_alone():
    store = Store()
    store.refused, store.wanted = {"b"}, ["a", "b", "c"]
    writer = store.open()
    for what in ("a", "b", "b", "c"):
        writer.put(lambda what=what: store.write(what), what)
    writer.close(lambda: store.write("end"), PATIENCE)
    assert set(store.written) == {"a", "c", "end"}
    assert writer.faults == {"b": "ValueError: not that"}
    assert store.said == ["MLflow can't show b (ValueError: not that); the search goes on, all others are shown"]
    assert "MLflow: lacks b (ValueError: not that)" in store.shown


def test_a_run_that_is_taken_later_is_lacking_no_more():
    store = Store()
    store.refused, store.wanted = {"b"}, ["b"]
    writer = store.open()
    writer.put(lambda: store.write("b"), "b")
    wait_until(lambda: store.said, "it is said")
    store.refused = set()
    writer.close(lambda: store.write("end"), PATIENCE)
    assert store.written == ["b", "end"]
    assert writer.faults == {}


def test_a_store_that_refuses_everything_is_left_alone():
    store = Store()
    store.refused = set(range(20))
    writer = store.open()
    for number in range(20):
        writer.put(lambda number=number: store.write(number), str(number))
    wait_until(lambda: writer.away, "it is left alone")
    assert store.tried == 2 * IN_A_ROW  # each once more after the store was opened again
    writer.close(lambda: store.write("end"), PATIENCE)
    assert store.written == ["end"]


def test_who_does_not_want_to_wait_for_a_write_that_hangs_leaves_it():
    store, gate = Store(), threading.Event()
    writer = store.open()
    writer.put(gate.wait)
    writer.put(lambda: store.write("after"))
    writer.close(lambda: store.write("end"), patience=0.1)
    assert store.said == ["waiting for MLflow; Ctrl-C leaves at once", "MLflow takes too long"]
    assert writer.away
    gate.set()
    writer._thread.join()
    assert store.written == []  # the records may be closed by now


def test_patience_is_for_each_write():
    store = Store()
    writer = store.open()
    for number in range(20):
        writer.put(lambda number=number: (time.sleep(0.06), store.write(number)))
    writer.close(lambda: store.write("end"), patience=1.0)
    assert store.written == [*range(20), "end"]
    assert store.said == []


def test_what_is_asked_of_a_tracker_may_fail_too():
    """One that is open may go away while what it lacks is asked of it."""
    store = Store()

    def missing() -> Iterator[tuple[Write, str]]:
        raise ConnectionError("gone")
        yield

    store.missing = missing  # type: ignore[method-assign]
    writer = store.open()
    writer.put(lambda: None)
    writer.close(lambda: store.write("end"), PATIENCE)
    assert store.said == ["MLflow can't be written (ConnectionError: gone); the search goes on"]
    assert store.written == []
