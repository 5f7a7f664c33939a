"""Failures have a class; some are tried again, so often and no more; a family of which all fail is asked no more."""

from __future__ import annotations

import errno
import time

import pytest
from ray.exceptions import ActorUnavailableError, NodeDiedError, OutOfDiskError, RayActorError, WorkerCrashedError
from ray.tune import TuneError

from nrtune.analysis.store.records import Proposal, TrialRecord
from nrtune.orchestrator.execution.failures import classify, traceback_of
from nrtune.orchestrator.lifecycle.circuit_breaker import (
    STOPPED_BY,
    TRIPPED_BY,
    CircuitBreaker,
    EnvironmentBreaker,
    EnvironmentBroken,
)
from nrtune.orchestrator.lifecycle.faults import Failure, TrialTimeout, folder_fault, storage_fault
from nrtune.orchestrator.lifecycle.messages import EpochEnded
from nrtune.orchestrator.lifecycle.retries import MOST_RESTARTS, PAUSE, Attempt, Retries
from nrtune.orchestrator.lifecycle.trial import LiveTrial
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.losses import LOSSES
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
        (OSError(errno.ENOSPC, "No space left on device"), "disk", True),
        (OutOfDiskError("Local disk is full"), "disk", True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom", False),
        (PermissionError(errno.EACCES, "Permission denied"), "unreadable", True),
        (OSError("Unable to synchronously open file"), "unreadable", True),
        (ModuleNotFoundError("No module named 'helpers'"), "import", True),
        (
            RayActorError(
                error_msg="The actor died because of an error raised in its creation task, ray::__init__()\n"
                + "  File\n" * 200
                + "ModuleNotFoundError: No module named 'nrtune'"
            ),
            "import",
            True,
        ),
        (KeyError("k"), "crashed", False),
    ],
)
def test_failures_have_a_class(error, expected, restartable):
    failure = classify(error)
    assert (failure.failure_class, failure.restartable) == (expected, restartable)
    assert failure.is_environments == (expected in ("lost_node", "disk", "unreadable", "import"))
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


def test_a_campaigns_folder_that_may_not_be_written_is_told_from_other_files(tmp_path):
    folder = tmp_path / "campaign"
    denied = PermissionError(errno.EACCES, "Permission denied", str(folder / "trials.jsonl"))
    for error in (denied, TuneError(f"Traceback…\nPermissionError: {denied}")):
        assert folder_fault(error, folder) == "Permission denied: mend its permissions (chmod)"
        assert folder_fault(error, tmp_path / "other") is None
    assert (
        folder_fault(OSError(errno.ENOSPC, "No space left on device"), folder) == "No space left on device: make room"
    )
    assert folder_fault(OSError(errno.EROFS, "Read-only file system"), folder).endswith("mend the disk or its mount")


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


def failing(failure: Failure, fingerprint: str = "f1") -> LiveTrial:
    trial = LiveTrial(TRIAL._replace(fingerprint=fingerprint))
    trial.fail(failure)
    return trial


def epoch(number: int) -> EpochEnded:
    return EpochEnded(curve=(0.1,) * number, history=(), metrics=None, final=False, pid=1)


FULL = Failure("disk", "[Errno 28] No space left on device", restartable=True)


def test_the_environments_faults_in_a_row_stop_the_search_whichever_trials_they_hit():
    breaker = EnvironmentBreaker()
    for number in range(STOPPED_BY):
        breaker.leave_if_broken()
        breaker.failed(failing(FULL, f"f{number}"), "")
    with pytest.raises(EnvironmentBroken, match=r"No space left on device.*start the same command again"):
        breaker.leave_if_broken()


def test_what_gets_further_ends_the_row_and_what_comes_as_far_as_before_does_not():
    breaker, trial = EnvironmentBreaker(), failing(FULL)
    for number in range(STOPPED_BY - 1):
        breaker.epoch_ended(trial, epoch(1))  # from its checkpoint, each time
        breaker.failed(trial, str(number))
    breaker.epoch_ended(trial, epoch(2))
    for _ in range(STOPPED_BY - 1):
        breaker.epoch_ended(trial, epoch(2))
        breaker.failed(trial, "")
    breaker.leave_if_broken()
    breaker.failed(trial, "")
    with pytest.raises(EnvironmentBroken):
        breaker.leave_if_broken()


@pytest.mark.parametrize("other", [LOST, OOM, Failure("crashed", "KeyError: k")])
def test_neither_lost_nodes_nor_what_trials_do_themselves_stop_a_search(other: Failure):
    breaker = EnvironmentBreaker()
    for _ in range(2 * STOPPED_BY):
        breaker.failed(failing(other), "")
    breaker.leave_if_broken()


def test_a_traceback_of_a_users_own_loss_shows_his_lines_alone(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / "his.py").write_text("import json\n\ndef call(text):\n    return json.loads(text)\n")
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path))
    module = LOSSES.module("his")
    with pytest.raises(ValueError, match="Expecting") as raised:
        module.call("no")
    told = traceback_of(raised.value)
    assert told.count("  File ") == 1
    assert f'File "{tmp_path}/losses/his.py", line 4, in call' in told
    assert "JSONDecodeError: Expecting" in told
    with pytest.raises(KeyError) as raised:
        {}["k"]
    assert __file__ in traceback_of(raised.value)
