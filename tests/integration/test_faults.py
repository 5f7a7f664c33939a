"""Trials that fail, drivers that are killed, searches that are cut off: nothing is lost, nothing doubled."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
import ray
from campaign_records import check_agreement, mlflow_runs
from command_line import CommandLine
from in_process import run as run_command

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.store.records import read_records, read_status
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.retry import retried
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.lifecycle.circuit_breaker import STOPPED_BY, TRIPPED_BY
from nrtune.orchestrator.lifecycle.retries import MOST_RESTARTS
from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.core.errors import UserError

FAULTS = {
    "raising": "raise RuntimeError('on purpose')",
    "killed_once": """struck = pathlib.Path(__file__).with_suffix(".struck")
        if not struck.exists():
            struck.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return error""",
    "greedy": "raise MemoryError('out of memory')",
}
MORE_FAULTS = FAULTS | {
    "nan_loss": "return error * float('nan')",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("faults", [FAULTS, pytest.param(MORE_FAULTS, marks=pytest.mark.slow)], ids=["some", "all"])
def test_failures_are_recorded_with_their_class_and_the_search_goes_on(
    faults: dict[str, str], shared_ray, faulty, settings: Settings
):
    faulty("mse", **faults)
    both = settings.model_copy(
        update={"families": ("faulty", "baseline"), "trials": 1 + len(faults), "epochs": 2, "max_concurrent": 2}
    )
    assert run_campaign(prepare(both)).state == "finished"
    records = open_campaign(both.out).records()
    of_loss = {r.config["loss"]: r for r in records if r.family == "faulty"}
    mse, once = of_loss.pop("mse"), of_loss.pop("killed_once")
    # It went on from its checkpoint, to the numbers of one that nobody struck.
    assert (once.status, once.attempts, once.epochs_trained) == ("finished", 2, 2)
    assert once.metrics == mse.metrics
    classes = {"nan_loss": "diverged", "raising": "crashed", "killed": "crashed", "greedy": "oom"}
    assert {loss: r.failure_class for loss, r in of_loss.items()} == {loss: classes[loss] for loss in of_loss}
    assert all(r.status == "failed" and not r.metrics for r in of_loss.values())
    assert "on purpose" in of_loss["raising"].failure
    # what a trial had learned is in its run: the first epoch
    assert all(r.epochs_trained == 1 for r in of_loss.values())
    # A dead worker is no proof against the trial, lack of memory may be another's doing: both get their chances.
    attempts = {"nan_loss": 1, "raising": 1, "killed": 1 + MOST_RESTARTS, "greedy": 3}
    assert {loss: r.attempts for loss, r in of_loss.items()} == {loss: attempts[loss] for loss in of_loss}
    assert of_loss["greedy"].micro_batches == 2
    assert sum(r.status == "finished" for r in records if r.family == "baseline") == 1 + len(faults)
    _, children = mlflow_runs(both.out)
    for run in children:
        if run.data.tags["family"] == "faulty" and run.data.tags["loss"] in of_loss:
            assert run.info.status == "FAILED"
            assert run.data.tags["failure_class"] == of_loss[run.data.tags["loss"]].failure_class
            assert "val/spearman" in run.data.metrics
    assert "on purpose" in (both.out / "trials" / of_loss["raising"].fingerprint / "error.txt").read_text()


def test_an_error_that_another_has_planted_is_not_unpickled(shared_ray, faulty, settings: Settings, tmp_path: Path):
    """Ray Tune reads a dead worker's exception from a file of its session's folder, which may be open to others."""
    run = tmp_path / "was run"
    faulty(
        planted=f"""import pickle, ray
        class Planted:
            def __reduce__(self):
                return pathlib.Path.touch, (pathlib.Path({str(run)!r}),)
        session = pathlib.Path(ray._private.worker._global_node.get_session_dir_path())
        for folder in session.glob("artifacts/*/*/driver_artifacts/*/"):
            (folder / "error.pkl").write_bytes(pickle.dumps(Planted()))
        os.kill(os.getpid(), signal.SIGKILL)"""
    )
    assert run_campaign(prepare(settings.model_copy(update={"families": ("faulty",)}))).state == "finished"
    (record,) = open_campaign(settings.out).records()
    assert (record.status, record.failure_class) == ("failed", "crashed")
    assert "worker" in record.failure.lower()
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    planted = [path.read_bytes() for path in session.glob("artifacts/*/*/driver_artifacts/*/error.pkl")]
    assert planted
    assert all(b"was run" in content for content in planted)  # nobody has written there either
    assert not run.exists()


def test_the_environments_faults_end_no_trial_and_the_same_command_goes_on(
    shared_ray, faulty, settings: Settings, tmp_path: Path
):
    room = tmp_path / "room"
    full = f"""if not pathlib.Path({str(room)!r}).exists():
            raise OSError(28, "No space left on device")
        return error"""
    faulty(full=full)
    wanted = settings.model_copy(update={"families": ("faulty",)})
    with pytest.raises(UserError, match=f"^{STOPPED_BY} .* in a row failed .*No space left on device"):
        run_campaign(prepare(wanted))
    assert read_records(wanted.out) == []
    assert read_status(wanted.out)["state"] == "interrupted"
    room.touch()
    assert run_campaign(prepare(wanted)).state == "finished"
    (record,) = read_records(wanted.out)
    assert (record.status, record.epochs_trained) == ("finished", 2)


def test_failed_trials_are_tried_again_on_request(shared_ray, faulty, settings: Settings, tmp_path: Path):
    mended = tmp_path / "mended"
    broken = f"""if not pathlib.Path({str(mended)!r}).exists():
            raise KeyError("his")
        return error"""
    faulty("mse", broken=broken)
    wanted = settings.model_copy(update={"families": ("faulty",), "trials": 2})
    out = Path(str(wanted.out))
    run_campaign(prepare(wanted))
    before = {record.name: record for record in read_records(out)}
    (failed,) = [record for record in before.values() if record.status == "failed"]
    told = (out / "trials" / failed.fingerprint / "error.txt").read_text()
    assert "KeyError: 'his'" in told
    assert {line.split('"')[1] for line in told.splitlines() if "  File " in line} == {
        str(tmp_path / "plugins" / "losses" / "broken.py")
    }
    assert run_campaign(prepare(wanted)).counts["failed"] == 1  # the same command alone does not
    with pytest.raises(UserError, match="only failed trials are tried again"):
        retried(out, [next(name for name in before if name != failed.name)], {})
    with pytest.raises(UserError, match="did you mean"):
        retried(out, [failed.name + "x"], {})
    mended.touch()
    again, names = retried(out, (), {})
    assert names == [failed.name]
    assert run_campaign(prepare(again)).state == "finished"
    after = {record.name: record for record in read_records(out)}
    assert after[failed.name].status == "finished"
    assert after[failed.name].fingerprint == failed.fingerprint
    assert {name: record for name, record in after.items() if name != failed.name} == {
        name: record for name, record in before.items() if name != failed.name
    }
    check_agreement(out, ("faulty",), len(after))
    with pytest.raises(UserError, match="no trial has failed"):
        retried(out, (), {})


@pytest.mark.slow
def test_where_no_trial_has_finished_the_exit_code_says_so(
    shared_ray, faulty, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    mended = tmp_path / "mended"
    faulty(
        broken=f"""if not pathlib.Path({str(mended)!r}).exists():
            raise KeyError("his")
        return error"""
    )
    wanted = settings.model_copy(update={"families": ("faulty",)})
    run_campaign(prepare(wanted))
    code, _, err = run_command(monkeypatch, capsys, "retry", wanted.out)
    assert code == 1
    assert re.search(r"failed: \d+ crashed \((such as )?BAD-\d+: ", " ".join(err.split()))
    assert f"no trial finished; once their cause is mended: nrtune retry {wanted.out}" in err
    mended.touch()
    code, _, err = run_command(monkeypatch, capsys, "retry", wanted.out, "BAD-001")
    assert code == 0
    assert "trying again: BAD-001" in err


def test_a_trial_that_hangs_is_ended(shared_ray, faulty, settings: Settings):
    faulty(hanging="time.sleep(600)")
    hanging = settings.model_copy(update={"families": ("faulty",), "trial_time_limit": 0.1})
    assert run_campaign(prepare(hanging)).state == "finished"
    (record,) = open_campaign(hanging.out).records()
    assert (record.status, record.failure_class, record.epochs_trained) == ("failed", "timed_out", 1)
    assert record.attempts == 1


@pytest.mark.slow
def test_a_family_of_which_all_trials_fail_is_asked_no_more(shared_ray, faulty, settings: Settings):
    faulty(
        raising=FAULTS["raising"], nan_loss=MORE_FAULTS["nan_loss"], raising_too=FAULTS["raising"], fine="return error"
    )
    both = settings.model_copy(update={"families": ("faulty", "baseline"), "trials": 4})
    outcome = run_campaign(prepare(both))
    assert outcome.state == "finished"
    assert "faulty is asked no more: all 3 of its trials failed (2 crashed, 1 diverged; last: " in outcome.why
    records = open_campaign(both.out).records()
    assert [r.status for r in records if r.family == "faulty"] == ["failed"] * TRIPPED_BY
    assert sum(r.status == "finished" for r in records) == 4
    # Once the cause is mended, a new start asks it again.
    assert run_campaign(prepare(both)).state == "finished"
    assert sum(r.status == "finished" for r in open_campaign(both.out).records() if r.family == "faulty") == 1


def numbers(folder: Path) -> dict[str, dict[str, float]]:
    return {r.fingerprint: dict(r.metrics) for r in read_records(folder) if r.status == "finished"}


def trains(folder: Path) -> bool:
    """Whether a trial has stored a checkpoint that it goes on from."""
    return any(folder.glob("trials/*/last.pt"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("families", "trials", "strikes"),
    [
        pytest.param(("baseline",), 3, (1,), id="once"),
        pytest.param(("baseline", "distributional"), 3, (0, 1, 3), id="again and again"),
    ],
)
def test_a_killed_driver_loses_nothing(
    families: tuple[str, ...], trials: int, strikes: tuple[int, ...], shared_ray, settings: Settings, tmp_path
):
    """Kill -9 while trials train, each time after some have ended; then the same again.

    Its short sister is in test_interruptions.py.
    """
    epochs = 5
    wanted = settings.model_copy(
        update={"families": families, "trials": trials, "epochs": epochs, "grace_epochs": epochs}
    )
    unharmed = wanted.model_copy(update={"out": tmp_path / "unharmed"})
    run_campaign(prepare(unharmed))
    at_ray = {"address": shared_ray} if len(strikes) == 1 else {}
    command = CommandLine(wanted.model_copy(update=at_ray), tmp_path)
    out, before = Path(str(wanted.out)), []
    for ended in strikes:
        command.kill(lambda ended=ended: len(read_records(out)) >= ended and trains(out))
        records = read_records(out)
        assert len(records) >= ended
        assert records[: len(before)] == before
        before = records
    run_campaign(prepare(wanted))
    check_agreement(out, families, trials)
    assert read_records(out)[: len(before)] == before
    # The same trials were proposed as in a campaign that nobody struck, and each has the same numbers.
    assert numbers(out) == numbers(tmp_path / "unharmed")


@pytest.mark.parametrize("whose", ["shared", pytest.param("its own", marks=pytest.mark.slow)])
def test_ctrl_c_leaves_a_campaign_that_goes_on(whose: str, shared_ray, settings: Settings, tmp_path: Path):
    wanted = settings.model_copy(update={"trials": 2, "epochs": 8, "grace_epochs": 8})
    out = Path(str(wanted.out))
    command = CommandLine(wanted.model_copy(update={"address": shared_ray} if whose == "shared" else {}), tmp_path)
    code, err = command.strike(signal.SIGINT, lambda: trains(out))
    assert code == 130
    assert "the same command again goes on from here" in err
    assert "Traceback" not in err
    assert read_status(out)["state"] == "interrupted"
    _, children = mlflow_runs(out)
    assert children
    assert {run.info.status for run in children} == {"KILLED"}
    interrupted = {run.data.tags["nrtune.fingerprint"] for run in children}
    assert run_campaign(prepare(wanted.model_copy(update={"resume": True}))).state == "finished"
    check_agreement(out, ("baseline",), 2)
    assert interrupted <= {r.fingerprint for r in read_records(out)}


@pytest.mark.parametrize(
    ("moment", "then"),
    [("says so", "nothing"), pytest.param("has a process", "goes on", marks=pytest.mark.slow)],
)
def test_ctrl_c_while_ray_starts_is_neither_lost_nor_shown(moment: str, then: str, settings: Settings, tmp_path: Path):
    command, out = CommandLine(settings, tmp_path), Path(str(settings.out))
    with command.start() as process:
        process.wait_until_said("starting Ray")
        if moment == "has a process":
            process.wait_until_started("gcs_server")
        assert process.end(signal.SIGINT) == 130
    assert "the same command again goes on from here" in process.err
    assert "ignored" not in process.err
    assert "Traceback" not in process.err
    assert read_records(out) == []
    if then == "goes on":
        command.finish()
        check_agreement(out, ("baseline",), settings.trials)


def test_a_time_budget_puts_trials_off(shared_ray, settings: Settings):
    wanted = settings.model_copy(update={"trials": 3, "epochs": 400, "grace_epochs": 400, "time_budget": 0.06})
    outcome = run_campaign(prepare(wanted))
    assert outcome.state == "interrupted"
    assert "time budget" in outcome.why
    _, children = mlflow_runs(wanted.out)
    assert "RUNNING" not in {run.info.status for run in children}
    ended = read_records(Path(str(wanted.out)))
    assert len(ended) < 3
    assert all(r.status == "finished" for r in ended)
