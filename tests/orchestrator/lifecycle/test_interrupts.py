"""Signals that are held back: none is lost, none strikes in the middle, and none is held back for ever."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from nrtune.orchestrator.lifecycle.interrupts import SIGNALS, SignalGuard


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_until_the_block_can_be_left(number: int):
    before, reached = signal.getsignal(number), []
    with pytest.raises(KeyboardInterrupt), SignalGuard() as interrupts:  # noqa: PT012
        interrupts.leave_if_asked()
        signal.raise_signal(number)
        reached.append("after the signal")
        interrupts.leave_if_asked()
        reached.append("after leaving")
    assert reached == ["after the signal"]
    assert signal.getsignal(number) is before


def test_a_block_that_never_asks_is_left_at_its_end_once():
    reached = []
    with pytest.raises(KeyboardInterrupt), SignalGuard(patience=0.1):  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        reached.append("end")
    assert reached == ["end"]
    time.sleep(0.3)


def test_a_second_signal_strikes_at_once():
    reached = []
    with pytest.raises(KeyboardInterrupt), SignalGuard():  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        reached.append("one")
        signal.raise_signal(signal.SIGINT)
        reached.append("two")
    assert reached == ["one"]


def test_what_never_comes_to_its_end_is_left_where_it_is_again_and_again():
    struck = 0
    with pytest.raises(KeyboardInterrupt), SignalGuard(patience=0.1):  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        for _ in range(2):
            try:
                time.sleep(600)
            except KeyboardInterrupt:  # as a destructor would have swallowed it
                struck += 1
    assert struck == 2


def test_what_a_block_raises_comes_before_a_signal():
    with pytest.raises(ValueError, match="its own"), SignalGuard():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        raise ValueError("its own")


def test_a_signal_that_others_took_is_taken_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), SignalGuard() as interrupts:  # noqa: PT012
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        interrupts.listen()
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_than_the_main_one_changes_nothing():
    before, seen = signal.getsignal(signal.SIGINT), []

    def search() -> None:
        with SignalGuard() as interrupts:
            interrupts.listen()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert seen == [before]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_terminal_that_closes_is_nothing_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SignalGuard() as interrupts:
            interrupts.listen()
            signal.raise_signal(signal.SIGHUP)
            interrupts.leave_if_asked()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_has_the_block_left_and_nobody_asked_for_it():
    with pytest.raises(KeyboardInterrupt), SignalGuard(patience=0.1) as interrupts:  # noqa: PT012
        threading.Thread(target=interrupts.leave, args=(threading.Event(),)).start()
        time.sleep(600)  # what waits for what is no more
    assert not interrupts.asked


def test_what_came_to_its_end_all_the_same_is_no_interruption():
    left = threading.Event()
    with SignalGuard() as interrupts:
        interrupts.leave(left)
        left.set()
        interrupts.leave_if_asked()
