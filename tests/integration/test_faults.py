"""Trials that fail, drivers that are killed, searches that are cut off: nothing is lost, nothing doubled."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from books import check_agreement, mlflow_runs
from command_line import CommandLine

from analysis import open_campaign
from analysis.books import MANIFEST, read_records, read_status
from orchestrator.retries import HOPELESS, MOST_RESTARTS
from orchestrator.search import Search
from orchestrator.settings import Settings
from trainables.registry import PLUGIN_VARIABLE

LOSS = """
import dataclasses, os, signal, time
from trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Faulty(Loss):
    \"\"\"Mean squared error that goes wrong from the second epoch on.\"\"\"
    def __call__(self, prediction, target, progress):
        error = (prediction.mean - target.activity).square().mean()
        if progress.epoch == 0:
            return error
        {what}
"""
FAULTS = {
    "nan_loss": "return error * float('nan')",
    "raising": "raise RuntimeError('on purpose')",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "hanging": "time.sleep(600)",
    "greedy": "raise MemoryError('out of memory')",
}
FAMILY = """
from search_spaces import Choice, Family, Published
FAMILY = Family(
    code="BAD", title="Faulty", fixed={{"encoder": "dream_rnn", "head": "point", "sampler": "uniform"}},
    space=(Choice(name="loss", values={names}, default={names}[0]),),
    published=tuple(Published(name=name, seed=0, parameters={{"loss": name}}) for name in {names}),
)
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plugins"
    for kind in ("losses", "search_spaces"):
        (folder / kind).mkdir(parents=True)
    for name, what in FAULTS.items():
        (folder / "losses" / f"{name}.py").write_text(LOSS.format(what=what))
    (folder / "search_spaces" / "faulty.py").write_text(FAMILY.format(names=("mse", *FAULTS)))
    monkeypatch.setenv(PLUGIN_VARIABLE, str(folder))
    return folder


def test_failures_are_recorded_with_their_class_and_the_search_goes_on(shared_ray, plugins, settings: Settings):
    both = settings.model_copy(
        update={"families": ("faulty", "baseline"), "trials": 1 + len(FAULTS), "epochs": 2, "trial_time_limit": 0.35}
    )
    assert Search(both).run().state == "finished"
    records = open_campaign(both.out).records()
    failures = {r.config["loss"]: r for r in records if r.family == "faulty" and r.config["loss"] != "mse"}
    assert {loss: r.failure_class for loss, r in failures.items()} == {
        "nan_loss": "diverged",
        "raising": "crashed",
        "killed": "crashed",
        "hanging": "timed_out",
        "greedy": "oom",
    }
    assert all(r.status == "failed" and not r.metrics for r in failures.values())
    assert "on purpose" in failures["raising"].failure
    # what a trial had learned is in its run: the first epoch
    assert all(r.epochs_trained == 1 for r in failures.values())
    # A dead worker is no proof against the trial, lack of memory may be another's doing: both get their chances.
    assert {loss: r.attempts for loss, r in failures.items()} == {
        "nan_loss": 1, "raising": 1, "killed": 1 + MOST_RESTARTS, "hanging": 1, "greedy": 3,
    }  # fmt: skip
    assert failures["greedy"].micro_batches == 2
    assert sum(r.status == "finished" for r in records if r.family == "baseline") == 1 + len(FAULTS)
    _, children = mlflow_runs(both.out)
    for run in children:
        if run.data.tags["family"] == "faulty" and run.data.tags["loss"] != "mse":
            assert run.info.status == "FAILED"
            assert run.data.tags["failure_class"] == failures[run.data.tags["loss"]].failure_class
            assert "val/spearman" in run.data.metrics
    assert "on purpose" in (both.out / "trials" / failures["raising"].fingerprint / "error.txt").read_text()


def test_a_family_of_which_all_trials_fail_is_asked_no_more(shared_ray, plugins, settings: Settings):
    (plugins / "search_spaces" / "faulty.py").write_text(FAMILY.format(names=("raising", "nan_loss", "greedy", "fine")))
    (plugins / "losses" / "fine.py").write_text(LOSS.format(what="return error"))
    both = settings.model_copy(update={"families": ("faulty", "baseline"), "trials": 4, "max_concurrent": 1})
    outcome = Search(both).run()
    assert outcome.state == "finished"
    assert "faulty is asked no more: all 3 of its trials failed (1 crashed, 1 diverged, 1 oom; last: " in outcome.why
    records = open_campaign(both.out).records()
    assert [r.status for r in records if r.family == "faulty"] == ["failed"] * HOPELESS
    assert sum(r.status == "finished" for r in records) == 4
    # Once the cause is mended, a new start asks it again.
    assert Search(both).run().state == "finished"
    assert sum(r.status == "finished" for r in open_campaign(both.out).records() if r.family == "faulty") == 1


FAMILIES = ("baseline", "distributional")
TRIALS, EPOCHS = 3, 5


def numbers(folder: Path) -> dict[str, dict[str, float]]:
    return {r.fingerprint: dict(r.metrics) for r in read_records(folder) if r.status == "finished"}


def test_a_killed_driver_loses_nothing(shared_ray, settings: Settings, tmp_path: Path):
    """Kill -9 while the first trials train, after the first has ended, and once more later; then the same again."""
    wanted = settings.model_copy(
        update={"families": FAMILIES, "trials": TRIALS, "epochs": EPOCHS, "grace_epochs": EPOCHS}
    )
    unharmed = wanted.model_copy(update={"out": tmp_path / "unharmed"})
    Search(unharmed).run()
    command = CommandLine(wanted, tmp_path)
    out = Path(str(wanted.out))

    def training() -> bool:
        return any(len(list(folder.glob("last.pt"))) for folder in out.glob("trials/*"))

    command.kill(training)
    assert read_records(out) == []
    command.kill(lambda: len(read_records(out)) >= 1)
    before = read_records(out)
    command.kill(lambda: len(read_records(out)) >= 3)
    assert read_records(out)[: len(before)] == before
    command.finish()
    check_agreement(out, FAMILIES, TRIALS)
    assert read_records(out)[: len(before)] == before
    # The same trials were proposed as in a campaign that nobody struck, and each has the same numbers.
    assert numbers(out) == numbers(tmp_path / "unharmed")


def test_ctrl_c_leaves_a_campaign_that_goes_on(settings: Settings, tmp_path: Path):
    wanted = settings.model_copy(update={"trials": 2, "epochs": 8, "grace_epochs": 8})
    out = Path(str(wanted.out))
    command = CommandLine(wanted, tmp_path)
    code, err = command.strike(signal.SIGINT, lambda: bool(list(out.glob("trials/*/last.pt"))))
    assert code == 130
    assert "the same command again goes on from here" in err
    assert "Traceback" not in err
    assert read_status(out)["state"] == "interrupted"
    _, children = mlflow_runs(out)
    assert children
    assert {run.info.status for run in children} == {"KILLED"}
    interrupted = {run.data.tags["nrtune.fingerprint"] for run in children}
    shorter = CommandLine(wanted.model_copy(update={"resume": True}), tmp_path)
    shorter.finish()
    check_agreement(out, ("baseline",), 2)
    assert interrupted <= {r.fingerprint for r in read_records(out)}


def test_ctrl_c_while_ray_starts_is_neither_lost_nor_shown(settings: Settings, tmp_path: Path):
    for seconds in (0.5, 1.5):
        out = tmp_path / f"out-{seconds}"
        command = CommandLine(settings.model_copy(update={"out": out}), tmp_path)
        began: list[float] = []

        def later(seconds: float = seconds, out: Path = out, began: list[float] = began) -> bool:
            if not began and (out / MANIFEST).exists():
                began.append(time.monotonic())
            return bool(began) and time.monotonic() - began[0] > seconds

        code, err = command.strike(signal.SIGINT, later)
        assert code == 130
        assert "ignored" not in err
        assert "Traceback" not in err
        assert read_records(out) == []
    command.finish()
    check_agreement(out, ("baseline",), settings.trials)


def test_a_time_budget_puts_trials_off(shared_ray, settings: Settings):
    wanted = settings.model_copy(update={"trials": 3, "epochs": 400, "grace_epochs": 400, "time_budget": 0.06})
    outcome = Search(wanted).run()
    assert outcome.state == "interrupted"
    assert "time budget" in outcome.why
    _, children = mlflow_runs(wanted.out)
    assert "RUNNING" not in {run.info.status for run in children}
    ended = read_records(Path(str(wanted.out)))
    assert len(ended) < 3
    assert all(r.status == "finished" for r in ended)
