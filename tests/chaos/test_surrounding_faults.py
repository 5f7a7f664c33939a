"""Whatever happens around a search, its records are bitwise those of one that nobody disturbed, and nothing is left of it.

Forty trials of two families, one after the other: early stopping, adaptive allocation, trials that it proposes and that may be
stopped, some that diverge, and a winner that is trained again with fresh seeds. Thirty faults a draw, of the table in
fault_table.py, planted before starts and while the search runs.

NRTUNE_CHAOS_DRAWS=7 repeats a draw, NRTUNE_CHAOS_ONLY=12,13 plants these of its faults alone, by their numbers, at their
moments; NRTUNE_CHAOS_FAULTS=hung_up,disk_filled draws from these alone, NRTUNE_CHAOS_NUMBER=6 so many.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from campaign_records import check_decisions, mlflow_runs
from command_line import Command
from draws import Planted, Start, draw
from fault_table import ENDING
from mlflow.tracking import MlflowClient
from servers import free_port, served
from stage import Stage, light_server
from test_interruptions import bare

from nrtune.analysis.store.records import FAILED, FINISHED, PRUNED, read_records
from nrtune.orchestrator.search.optuna_storage import open_storage
from nrtune.orchestrator.state.locations import default_uri
from nrtune.orchestrator.state.settings import Settings
from nrtune.orchestrator.tracking.trackers.mlflow import FINGERPRINT_TAG
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.simulate import HDF5_NAME

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

DRAWS = tuple(map(int, os.environ.get("NRTUNE_CHAOS_DRAWS", "0,1,2").split(",")))
ONLY = {int(number) for number in os.environ.get("NRTUNE_CHAOS_ONLY", "").split(",") if number}

SPEED = ("seconds", "samples_per_second")
FAMILIES, TRIALS, EPOCHS = ("baseline", "unlucky"), 20, 8

LOSS = '''
import dataclasses
from nrtune.trainables.core.component import param
from nrtune.trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Unlucky(Loss):
    """Squared error, not finite from an epoch on."""
    diverges: int = param(0, low=0)

    def __call__(self, prediction, target, progress):
        error = (prediction.mean - target.activity).square().mean()
        return error * float("nan") if 0 < self.diverges <= progress.epoch + 1 else error
'''
FAMILY = """
from nrtune.search_spaces import Choice, Family, Float, Published
FAMILY = Family(
    code="UNL", title="Unlucky", fixed={"encoder": "motif_cnn", "head": "point", "sampler": "uniform", "loss": "unlucky"},
    space=(Float(name="lr", low=1e-4, high=0.05, default=0.01, log=True), Choice(name="loss.diverges", values=(0, 2), default=0)),
    published=(
        Published(name="slow", seed=0, parameters={"lr": 1e-3}),
        Published(name="fast", seed=0, parameters={"lr": 0.01}),
        Published(name="unlucky", seed=0, parameters={"lr": 0.01, "loss.diverges": 2}),
    ),
)
"""


def planted(faults: Sequence[Planted]) -> list[Planted]:
    return [one for one in faults if not ONLY or one.number in ONLY]


def begin(stage: Stage, number: int, name: str) -> None:
    """Say which fault comes now; what it leaves open is the same whichever others are planted."""
    stage.random = random.Random(f"{number} {name}")
    print(number, name, f"after {stage.epochs()} epochs", flush=True)  # noqa: T201


def play(stage: Stage, starts: Sequence[Start]) -> None:
    """Start, harm, end; again and again."""
    for start in starts:
        wanted = stage.fresh_start(at_server=start.at_server)
        for one in planted(start.refused):
            begin(stage, one.number, one.fault.name)
            refused = stage.fresh_start(at_server=start.at_server)
            with one.fault.plant(stage, refused) as sentence:
                said = stage.refused(refused)
                assert sentence in said, said
        with ExitStack() as undone:
            for one in planted(start.before):
                begin(stage, one.number, one.fault.name)
                undone.enter_context(one.fault.plant(stage, wanted))
            stage.start(wanted)
            for one in planted(start.during):
                stage.go_on()
                stage.wait_for_share(one.moment)
                begin(stage, one.number, one.fault.name)
                with one.fault.plant(stage) as event:
                    stage.wait(event, f"fault {one.number}, {one.fault.name}, is over")
            number, name, moment = start.ending
            if ONLY and number not in ONLY:
                name = "interrupted"
            stage.go_on()
            stage.wait_for_share(moment)
            begin(stage, number, name)
            if stage.driver is not None:
                codes = ENDING[name](stage) if stage.running else {0, 1, 2}
                stage.end(codes=codes)


def finish(stage: Stage) -> None:
    """Start without faults until the campaign is done: under much load a Ray does not come up in the half minute it has."""
    for _ in range(5):
        stage.start(stage.fresh_start())
        if stage.end(codes={0, 2}) == 0:
            return
    pytest.fail(f"it never ended: {stage.said}")


# ---- what must hold


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A family of the user's own, some of whose trials diverge."""
    folder = tmp_path_factory.mktemp("plugins")
    for name, text in (("losses/unlucky.py", LOSS), ("search_spaces/unlucky.py", FAMILY)):
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLUGIN_VARIABLE, str(folder))
        patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # its folders in /dev/shm stay where it is killed
        found = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what nohup has had ignored, searches ignore too
        yield
        signal.signal(signal.SIGHUP, found)


@pytest.fixture(scope="module")
def settings(simulated_folder: Path) -> Settings:
    return Settings(
        families=FAMILIES, trials=TRIALS, epochs=EPOCHS, grace_epochs=2, reduction_factor=2, max_concurrent=1,
        confirm=0.2, use_case=("in_distribution",), set={"encoder.channels": 8}, starting_points="all",
        data=simulated_folder / HDF5_NAME, cagi5=simulated_folder / "cagi5",
    )  # fmt: skip


@pytest.fixture(scope="module")
def unharmed(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same campaign in peace."""
    folder = tmp_path_factory.mktemp("unharmed")
    wanted = settings.model_copy(update={"out": folder / "campaign"})
    (folder / "settings.yaml").write_text(wanted.to_yaml())
    Command("search", folder / "settings.yaml").finish(seconds=1800)
    records = read_records(folder / "campaign")
    trials = [record for record in records if record.replicate_of is None]
    assert len(trials) == TRIALS * len(FAMILIES)
    assert {record.status for record in trials} == {FINISHED, PRUNED, FAILED}
    assert any(record.published is None and record.status == PRUNED for record in trials)
    assert len(records) > len(trials)
    return folder / "campaign"


def histories(campaign: Path) -> dict[str, list[dict[str, float]]]:
    """Every epoch of each trial, without how fast it was."""
    return {
        path.parent.name: [{k: v for k, v in entry.items() if k not in SPEED} for entry in json.loads(path.read_text())]
        for path in campaign.glob("trials/*/history.json")
    }


def predictions(campaign: Path) -> dict[str, str]:
    """The SHA-256 of each trial's files of predictions."""
    return {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in campaign.glob("trials/*/predictions_*.parquet")
    }


def check_shown(campaign: Path, uri: str) -> None:
    """See that MLflow has every trial once: parameters, end, whole curve, its files' names."""
    records = {record.fingerprint: record for record in read_records(campaign)}
    (parent,), children = mlflow_runs(campaign, uri)
    assert Counter(run.data.tags[FINGERPRINT_TAG] for run in children) == dict.fromkeys(records, 1)
    client, curves = MlflowClient(tracking_uri=uri), histories(campaign)
    for run in children:
        record = records[run.data.tags[FINGERPRINT_TAG]]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["nrtune.status"] == record.status
        assert run.info.status == ("FAILED" if record.status == FAILED else "FINISHED")
        assert run.data.params == {key: str(value) for key, value in record.config.items()}
        shown = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "val/spearman")]
        curve = curves.get(record.fingerprint, [])
        assert sorted(shown) == [(entry["epoch"], entry["val/spearman"]) for entry in curve], record.name
        files = {path.name for path in (campaign / "trials" / record.fingerprint).glob("predictions_*.parquet")}
        assert {file.path for file in client.list_artifacts(run.info.run_id)} >= files, record.name


def check_fresh_server(campaign: Path, folder: Path) -> None:
    """See that `nrtune track` writes all into a server that has nothing, and nothing twice."""
    folder.mkdir()
    port = free_port()
    with served(light_server(folder, port), port):
        for _ in range(2):
            Command("track", campaign, "--tracking-uri", f"http://127.0.0.1:{port}").finish(seconds=900)
            check_shown(campaign, f"http://127.0.0.1:{port}")
    stored = Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("predictions_*.parquet"))
    assert stored == Counter(predictions(campaign).values())


def check_study(campaign: Path) -> None:
    """See that Optuna's study knows how each trial ended."""
    import optuna

    storage = open_storage(campaign, None)
    for family in FAMILIES:
        ended = Counter(r.status for r in read_records(campaign) if r.family == family and r.replicate_of is None)
        states = Counter(t.state.name for t in optuna.load_study(study_name=family, storage=storage).trials)
        assert states["RUNNING"] == 0
        assert (states["COMPLETE"], states["PRUNED"]) == (ended[FINISHED], ended[PRUNED])


@pytest.mark.parametrize("number", DRAWS)
def test_nothing_around_a_search_changes_it_or_is_left_of_it(number, unharmed, settings, tmp_path):
    starts = draw(number)
    print("", *starts, sep="\n", flush=True)  # noqa: T201
    total = sum(map(len, histories(unharmed).values()))
    with Stage(settings, tmp_path / "stage", total) as stage:
        play(stage, starts)
        finish(stage)
        assert bare(stage.out) == bare(unharmed)
        assert histories(stage.out) == histories(unharmed)
        assert predictions(stage.out) == predictions(unharmed)
        check_decisions(stage.out)
        check_study(stage.out)
        check_shown(stage.out, default_uri(stage.out))
        check_fresh_server(stage.out, tmp_path / "fresh")
        assert stage.left() == []
