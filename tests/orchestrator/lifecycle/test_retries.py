"""Failures have a class; some are tried again, so often and no more; a family of which all fail is asked no more."""

from __future__ import annotations

import errno
import time

import pytest
from ray.exceptions import ActorUnavailableError, NodeDiedError, RayActorError, WorkerCrashedError
from ray.tune import TuneError

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.orchestrator.execution.failures import classify
from nrtune.orchestrator.lifecycle.circuit_breaker import TRIPPED_BY, CircuitBreaker
from nrtune.orchestrator.lifecycle.faults import Failure, TrialTimeout, storage_fault
from nrtune.orchestrator.lifecycle.retries import MOST_RESTARTS, PAUSE, Attempt, Retries
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.training.loop import Diverged

TRIAL = Proposal("BASE-001", "baseline", 0, {"epochs": 2}, "f1", None, {})
LOST, OOM = Failure("lost_node", "gone", restartable=True), Failure("oom", "too much")


@pytest.mark.parametrize(
    ("error", "expected", "restartable"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate"), "oom", False),
        (RayActorError(error_msg="Task was killed due to the node running low on memory."), "oom", False),
        (MemoryError(), "oom", False),
        (TrialTimeout("late"), "timed_out", False),
        (UserError("no"), "invalid", False),
        (Diverged("nan"), "diverged", False),
        (NodeDiedError("gone"), "lost_node", True),
        (RayActorError(error_msg="The actor died because its node has died."), "lost_node", True),
        (RayActorError(error_msg="killed by SIGKILL"), "crashed", True),
        (ActorUnavailableError("socket closed", b"0" * 16), "lost_node", True),
        (WorkerCrashedError(), "crashed", True),
        (OSError(errno.ENOSPC, "No space left on device"), "crashed", True),
        (PermissionError(errno.EACCES, "Permission denied"), "crashed", False),
        (KeyError("k"), "crashed", False),
    ],
)
def test_failures_have_a_class(error, expected, restartable):
    failure = classify(error)
    assert (failure.failure_class, failure.restartable) == (expected, restartable)
    assert "\n" not in failure.message


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only the test moves."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_lost_trial_goes_on_so_often_and_no_more(clock):
    retries = Retries()
    for number in range(MOST_RESTARTS):
        assert retries.again(TRIAL, LOST, 4, shares=True) == "goes on from its checkpoint"
        assert len(retries) == 1
        clock[0] += PAUSE * 2**number - 0.01
        assert retries.pop() is None
        clock[0] += 0.02
        assert retries.pop() == TRIAL
        assert retries.attempt("f1") == Attempt(number=number + 2)
    assert retries.again(TRIAL, LOST, 4, shares=True) is None
    assert not retries
    assert retries.attempt("f1").number == MOST_RESTARTS + 1


def test_a_trial_that_gets_further_each_time_is_not_given_up(clock):
    retries = Retries()
    for epoch in range(2 * MOST_RESTARTS):
        assert retries.again(TRIAL, LOST, epoch, shares=True) is not None
        clock[0] += PAUSE + 0.01
        assert retries.pop() == TRIAL
    for _ in range(MOST_RESTARTS - 1):
        assert retries.again(TRIAL, LOST, epoch, shares=True) is not None
    assert retries.again(TRIAL, LOST, epoch, shares=True) is None


def test_memory_first_alone_then_half_batches_then_no_more():
    retries = Retries()
    assert "alone" in retries.again(TRIAL, OOM, 0, shares=True)
    assert retries.attempt("f1") == Attempt(number=2, alone=True)
    assert "half batches" in retries.again(TRIAL, OOM, 0, shares=True)
    assert retries.attempt("f1") == Attempt(number=3, alone=True, micro_batches=2)
    assert retries.again(TRIAL, OOM, 0, shares=True) is None
    unshared = Retries()
    assert "half batches" in unshared.again(TRIAL, OOM, 0, shares=False)
    assert unshared.again(TRIAL, OOM, 0, shares=False) is None


def test_a_trial_whose_node_is_lost_keeps_what_memory_taught():
    retries = Retries()
    retries.again(TRIAL, OOM, 0, shares=True)
    retries.again(TRIAL, LOST, 0, shares=True)
    assert retries.attempt("f1") == Attempt(number=3, alone=True)


def test_a_full_disk_is_known_however_it_is_told():
    """Ray Tune raises an error of its own, with the traceback as its text, for one in a callback."""
    for error in (
        OSError(errno.ENOSPC, "No space left on device"),
        TuneError("Traceback…\nOSError: [Errno 28] No space left on device"),
    ):
        assert storage_fault(error) == "No space left on device"
    assert storage_fault(OSError(errno.EDQUOT, "Disk quota exceeded")) == "Disk quota exceeded"
    assert storage_fault(ConnectionError("refused")) is None
    assert storage_fault(TuneError("Traceback… KeyError")) is None


@pytest.mark.parametrize("failure_class", ["diverged", "timed_out", "invalid", "crashed"])
def test_what_a_trial_did_itself_is_not_tried_again(failure_class):
    assert Retries().again(TRIAL, Failure(failure_class, "its own doing"), 0, shares=True) is None


def ended(number: int, failure_class: str | None) -> TrialRecord:
    return TrialRecord.from_flat(
        name=f"RS-{number:03d}", family="rank_stability", number=number, fingerprint=str(number), config={}, metrics={},
        status="failed" if failure_class else "finished", epochs_trained=0, seconds=0.0, started="", ended="",
        failure_class=failure_class, failure="on purpose" if failure_class else None,
    )  # fmt: skip


def test_a_family_of_which_all_fail_is_asked_no_more():
    breaker = CircuitBreaker()
    for number in range(TRIPPED_BY):
        assert breaker.tripped("rank_stability") is None
        breaker.ended(ended(number, ("diverged", "crashed", "crashed")[number]), ())
    assert breaker.tripped("baseline") is None
    assert breaker.tripped("rank_stability") == (
        "rank_stability is asked no more: all 3 of its trials failed (1 diverged, 2 crashed; last: on purpose)"
    )


def test_an_interruption_does_not_begin_the_count_anew_but_for_families_that_were_given_up():
    failed = [ended(number, "diverged") for number in range(TRIPPED_BY)]
    breaker = CircuitBreaker(failed[:-1])
    assert breaker.tripped("rank_stability") is None
    breaker.ended(failed[-1], ())
    assert breaker.tripped("rank_stability") is not None
    assert CircuitBreaker(failed).tripped("rank_stability") is None


def test_one_that_gets_through_keeps_its_family_going_and_lost_nodes_do_not_count():
    breaker = CircuitBreaker()
    for number in range(TRIPPED_BY):
        breaker.ended(ended(number, "lost_node"), ())
    assert breaker.tripped("rank_stability") is None
    breaker.ended(ended(90, None), ())
    for number in range(10, 20):
        breaker.ended(ended(number, "diverged"), ())
    assert breaker.tripped("rank_stability") is None
