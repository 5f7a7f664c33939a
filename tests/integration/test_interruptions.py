"""A campaign with early stopping that is struck anywhere decides as an unharmed one: real drivers, workers and signals."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from campaign_records import check_agreement
from command_line import CommandLine

from nrtune.analysis.store.records import read_records
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.campaign.run import run_campaign
from nrtune.orchestrator.lifecycle.rules import RULES
from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.core.registry import PLUGIN_VARIABLE

LOSS = '''
import dataclasses, json, os, pathlib, signal
from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss

HERE = pathlib.Path(__file__).parents[1]

@dataclasses.dataclass(frozen=True, kw_only=True)
class Struck(Loss):
    """Squared error, not finite from an epoch on. The batches of a campaign are counted; in some of them something happens."""
    diverges: int = param(0, low=0)

    def __call__(self, prediction, target, progress):
        with (HERE / "batches").open("a") as file:
            file.write(".")
            number = file.tell()
        plan = json.loads((HERE / "plan.json").read_text())
        match plan.get(str(number)):
            case "worker":
                os.kill(os.getpid(), signal.SIGKILL)
            case "driver":
                os.kill(int((HERE / "driver").read_text()), signal.SIGKILL)
            case "ctrl_c":
                os.kill(int((HERE / "driver").read_text()), signal.SIGINT)
        error = (prediction.mean - target.activity).square().mean()
        return error * float("nan") if 0 < self.diverges <= progress.epoch + 1 else error
'''
FAMILY = """
from nrtune.search_spaces import Choice, Family, Float, Published
FAMILY = Family(
    code="STR", title="Struck", fixed={"encoder": "factorized", "head": "point", "sampler": "uniform", "loss": "struck"},
    space=(Float(name="lr", low=1e-5, high=0.02, default=0.01, log=True), Choice(name="loss.diverges", values=(0, 4), default=0)),
    published=(Published(name="slow", seed=0, parameters={"lr": 1e-4}), Published(name="fast", seed=0, parameters={"lr": 0.01})),
)
"""
TRIALS, EPOCHS = 6, 8
TIMES = ("seconds", "started", "ended", "cpu_seconds", "gpu_seconds", "attempts")
"""What an interruption does change in a record."""


def bare(campaign: Path) -> list[dict[str, Any]]:
    """What the trials of a campaign were, times aside, in the order of their ends."""
    records = [record.to_flat() for record in read_records(campaign)]
    return [{key: value for key, value in record.items() if key not in TIMES} for record in records]


class Struck:
    """A campaign whose workers strike at the batches of a plan, and its driver, a process that is started again each time."""

    def __init__(self, folder: Path, settings: Settings, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plugins, self.folder = folder / "plugins", folder
        for name, text in (("losses/struck.py", LOSS), ("search_spaces/struck.py", FAMILY)):
            path = self.plugins / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
        monkeypatch.setenv(PLUGIN_VARIABLE, str(self.plugins))
        self.settings = settings.model_copy(update={"families": ("struck",), "trials": TRIALS, "epochs": EPOCHS,
            "grace_epochs": 2, "reduction_factor": 2, "address": address})  # fmt: skip

    def run(self, name: str, plan: Mapping[int, str], **settings: Any) -> tuple[list[dict[str, Any]], int]:
        """What the trials were, times aside, and how many batches they took."""
        (self.plugins / "plan.json").write_text(json.dumps(plan))
        (self.plugins / "batches").unlink(missing_ok=True)
        wanted = self.settings.model_copy(update={"out": self.folder / name, **settings})
        if not plan:
            run_campaign(prepare(wanted))
        command = CommandLine(wanted, self.folder)
        code = None if plan else 0
        while code != 0:
            (self.plugins / "driver").unlink(missing_ok=True)
            with command.start() as process:
                (self.plugins / "driver").write_text(str(process.process.pid))
                code = process.end()
                assert code in (0, 130, -9), process.err
                assert "Traceback" not in process.err
        check_agreement(self.folder / name, ("struck",), TRIALS)
        return bare(self.folder / name), (self.plugins / "batches").stat().st_size


@pytest.fixture(scope="module")
def struck(shared_ray: str, simulated_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from nrtune.trainables.data.simulate import HDF5_NAME

    settings = Settings(data=simulated_folder / HDF5_NAME, cagi5=simulated_folder / "cagi5", max_concurrent=1)
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Struck(tmp_path_factory.mktemp("struck"), settings, shared_ray, monkeypatch)


@pytest.fixture(scope="module")
def unharmed(struck: Struck) -> Callable[..., tuple[list[dict[str, Any]], int]]:
    """`unharmed(RULE, SEED)`: a campaign that nobody strikes, run once."""
    found: dict[tuple[str, int], tuple[list[dict[str, Any]], int]] = {}

    def get(rule: str, seed: int) -> tuple[list[dict[str, Any]], int]:
        if (rule, seed) not in found:
            found[rule, seed] = struck.run(f"{rule}-{seed}", {}, scheduler=rule, seed=seed)
        return found[rule, seed]

    return get


@pytest.mark.slow
def test_a_worker_is_killed_and_then_the_driver(struck, unharmed):
    whole, batches = unharmed("asha", 0)
    assert {record["status"] for record in whole} >= {"finished", "pruned"}
    plan = {batches // 4: "worker", batches // 2: "driver"}
    found, taken = struck.run("struck", plan, scheduler="asha", seed=0)
    assert taken > batches
    assert found == whole


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("draw", range(60))
def test_strikes_at_any_moment(draw, struck, unharmed):
    chance = random.Random(draw)
    rule, seed = list(RULES)[draw % len(RULES)], draw % 4
    whole, batches = unharmed(rule, seed)
    moments = chance.sample(range(1, batches + 1), chance.randint(1, 4))
    plan = {moment: chance.choice(["worker", "driver", "ctrl_c"]) for moment in moments}
    found, _ = struck.run(f"draw{draw}", plan, scheduler=rule, seed=seed)
    assert found == whole, plan


@pytest.mark.slow
def test_five_baselines_of_which_the_first_is_interrupted_in_its_twelfth_epoch(
    shared_ray: str, settings: Settings, tmp_path: Path
):
    """Its fourth trial once ended at epoch 3 instead of 9."""
    wanted = settings.model_copy(update={"trials": 5, "epochs": 30, "out": tmp_path / "unharmed"})
    run_campaign(prepare(wanted))
    struck = wanted.model_copy(update={"out": tmp_path / "struck", "address": shared_ray})

    def in_its_twelfth() -> bool:
        histories = [*(tmp_path / "struck").glob("trials/*/history.json")]
        return bool(histories) and len(json.loads(histories[0].read_text())) >= 11

    code, err = CommandLine(struck, tmp_path).strike(signal.SIGINT, in_its_twelfth)
    assert code == 130, err
    assert read_records(tmp_path / "struck") == []
    CommandLine(struck, tmp_path).finish()
    assert bare(tmp_path / "struck") == bare(tmp_path / "unharmed")
    assert {record["status"] for record in bare(tmp_path / "struck")} == {"finished", "pruned"}
