"""The state machine with real records, studies and workers, without Ray: struck before or after any of its own writes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from worker import worker_of

from nrtune.analysis.store.records import FAILED, read_records
from nrtune.orchestrator.campaign.recipe import Recipe
from nrtune.orchestrator.lifecycle.circuit_breaker import CircuitBreaker
from nrtune.orchestrator.lifecycle.faults import LOST_NODE, Failure
from nrtune.orchestrator.lifecycle.live_trials import LiveTrials
from nrtune.orchestrator.lifecycle.messages import MESSAGE, EpochEnded
from nrtune.orchestrator.lifecycle.retries import MOST_RESTARTS
from nrtune.orchestrator.lifecycle.rules import EarlyStopping, make_rule
from nrtune.orchestrator.lifecycle.sinks import RecordKeeper, Sink, StoppingKeeper, StudyKeeper
from nrtune.orchestrator.lifecycle.stopping import open_arrivals
from nrtune.orchestrator.search.family_study import FamilyStudy
from nrtune.orchestrator.search.optuna_storage import open_storage, open_study
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.search_spaces import FAMILIES
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training.training_data import TrainingData

TRIALS, EPOCHS = 5, 4
RECIPE = Recipe("small", EPOCHS, "float32")
FAMILY = FAMILIES.get("baseline").override({"encoder": "factorized", "encoder.channels": 2})
RULE = make_rule(EPOCHS, EarlyStopping(1, 2, "asha"))
TIMES = ("seconds", "started", "ended", "cpu_seconds", "gpu_seconds", "attempts")


class Struck(BaseException):
    """The driver was killed here."""


class Strikes(Sink):
    """Strikes before or after the calls of a sink, as `strike` says."""

    def __init__(self, sink: Sink, strike: Callable[[], bool]) -> None:
        self._sink, self._strike = sink, strike

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        call = getattr(object.__getattribute__(self, "_sink"), name)
        strike = object.__getattribute__(self, "_strike")

        def struck(*arguments: Any) -> None:
            if strike():
                raise Struck
            call(*arguments)
            if strike():
                raise Struck

        return struck


class Driver:
    """What a run is made of, opened anew after each strike as `nrtune.orchestrator.campaign.run` opens it."""

    def __init__(self, data: TrainingData, folder: Path, strike: Callable[[], bool]) -> None:
        self.data, self.folder = data, folder
        self.ledger = open_ledger(folder, "c", {"command": "search", "select_on": "val"}, {}, must_exist=False)
        study = open_study(open_storage(folder, None), "baseline", self.ledger.manifest["id"])
        self.family = FamilyStudy(
            "baseline", FAMILY, study, lambda p: RECIPE.config(p, 0), data.fingerprint_of, 0, "random"
        )
        studies = StudyKeeper({"baseline": self.family}, lambda record: record.metrics.get("val/spearman"))
        studies.reconcile(self.ledger.records)
        keeper = RecordKeeper(self.ledger)
        for fingerprint in self.ledger.everything():
            keeper.forget_checkpoint(fingerprint)
        ended = (
            (name, [entry["val/spearman"] for entry in self.ledger.history(name)])
            for name, record in self.ledger.records.items()
            if record.status != FAILED
        )
        self.arrivals = open_arrivals(RULE, folder, ended, ())
        sinks = (keeper, StoppingKeeper(self.arrivals), CircuitBreaker(), studies)
        self.live = LiveTrials(self.ledger, [Strikes(sink, strike) for sink in sinks], self.arrivals)

    def run(self, lose: Callable[[], bool]) -> None:
        """One trial at a time, until there are enough; `lose`: whether the worker is lost after an epoch."""
        waiting = None
        while len(self.ledger.records) < TRIALS:
            proposal = waiting or self.family.propose(set(self.ledger.records))
            assert proposal is not None
            waiting = None
            self.live.start("attempt", proposal, {"cpu": 1.0}, shares=False)
            worker = worker_of(self.data, self.folder, proposal, score_at=RULE.rungs)
            for message in self.messages(worker, proposal):
                self.live.hear("attempt", message)
                if lose():
                    self.live.lose("attempt", proposal, Failure(LOST_NODE, "gone", restartable=True), "gone")
                    waiting = proposal
                    break
            else:
                self.live.finish("attempt")

    def messages(self, worker: Any, proposal: Any) -> Iterator[EpochEnded]:
        """A worker's messages, to its last or to where it is stopped."""
        while True:
            result = worker.train()
            message = result[MESSAGE]
            assert isinstance(message, EpochEnded)
            protected = proposal.published is not None
            stop = not message.final and (
                (arrival := self.arrivals.arrive(proposal.fingerprint, message.curve, protected=protected)) is not None
                and arrival.stopped
            )
            yield message
            if message.final or stop:
                return


def finished(
    data: TrainingData,
    folder: Path,
    strike: Callable[[], bool] = lambda: False,
    lose: Callable[[], bool] = lambda: False,
) -> tuple[list[dict[str, Any]], list[str]]:
    """The records of a campaign, times aside, and the states of Optuna's trials, once it has ended."""
    while True:
        driver = Driver(data, folder, strike)
        try:
            driver.run(lose)
            driver.live.suspend()
            break
        except Struck:
            continue
        finally:
            driver.ledger.close()
    records = [{k: v for k, v in record.to_flat().items() if k not in TIMES} for record in read_records(folder)]
    return records, [trial.state.name for trial in driver.family.study.get_trials()]


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData(simulate(100).dataset)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGIN_VARIABLE, "")  # which the worker sets
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_what_the_environment_fails_again_and_again_waits_for_the_next_start(data, tmp_path):
    driver = Driver(data, tmp_path, lambda: False)
    proposal = driver.family.propose(())
    for number in range(MOST_RESTARTS + 1):
        driver.live.start(str(number), proposal, {"cpu": 1.0}, shares=False)
        driver.live.lose(str(number), proposal, Failure(LOST_NODE, "gone", restartable=True), "gone")
    assert driver.live.put_off.keys() == {proposal.fingerprint}
    assert not driver.live.running
    driver.live.suspend()
    driver.ledger.close()
    assert read_records(tmp_path) == []
    again = Driver(data, tmp_path, lambda: False)
    assert again.family.propose(()) == proposal
    again.ledger.close()


@pytest.mark.end_to_end
@pytest.mark.parametrize("draws", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_struck_between_any_two_of_its_writes_a_campaign_ends_as_an_unharmed_one(draws, data, tmp_path):
    calls = []
    whole, states = finished(data, tmp_path / "whole", lambda: bool(calls.append(None)))
    assert {record["status"] for record in whole} == {"finished", "pruned"}
    assert len(states) == TRIALS
    for draw in range(draws):
        chance = random.Random(draw)
        at = set(chance.sample(range(len(calls)), chance.randint(1, 4)))
        count, losses = iter(range(100 * len(calls))), iter([chance.random() < 0.1 for _ in range(1000)])
        found, told = finished(
            data, tmp_path / str(draw), lambda at=at, count=count: next(count) in at, lambda losses=losses: next(losses)
        )
        assert found == whole, at
        assert told == states
