"""What a replication chooses, on records small enough to see the answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from nrtune.analysis.store.records import TrialRecord
from nrtune.orchestrator.campaign.replication import choose
from nrtune.orchestrator.search.allocation import Even
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.settings import ReplicateSettings
from nrtune.trainables.core.errors import UserError

OVERALL, PEARSON = "cagi5/challenge/spearman/all/mean", "cagi5/challenge/pearson/all/mean"


def record(name: str, family: str = "rs", overall: float = 0.1, pearson: float | None = None, **more) -> TrialRecord:
    metrics = {OVERALL: overall, **({} if pearson is None else {PEARSON: pearson})}
    given = {"number": 0, "fingerprint": name, "status": "finished", "metrics": metrics, "epochs_trained": 1,
             "config": {"seed": 0, "lr": name}, "seconds": 1.0, "started": "", "ended": ""}  # fmt: skip
    return TrialRecord.from_flat(**{"name": name, "family": family, **given, **more})


def chosen(*records: TrialRecord, **settings) -> tuple[list[str], list[str], list[str]]:
    told = ReplicateSettings(out=Path("out"), **settings)
    baselines, found, remarks = choose(records, told, "challenge")
    return [r.name for r in baselines], [r.name for r in found], remarks


TRIALS = (
    record("B1", "baseline", 0.3, 0.1),
    record("B2", "baseline", 0.1, 0.3),
    record("R1", overall=0.4, pearson=0.1),
    record("R2", overall=0.3, pearson=0.4),
    record("R3", overall=0.2, pearson=0.3),
)


def test_finalists_are_united_and_every_named_baseline_is_kept():
    assert chosen(*TRIALS, top=1, use_case=("overall", "pearson")) == (["B1", "B2"], ["R1", "R2"], [])
    assert chosen(*TRIALS, top=2, use_case=("overall",)) == (["B1"], ["R1", "R2"], [])
    baselines, found, remarks = chosen(*TRIALS, top=5)
    assert (baselines, found) == (["B1", "B2"], ["R1", "R2", "R3"])
    assert len(remarks) == 6  # use cases of metrics that no trial has
    assert "use case high_confidence: no finished trial has cagi5/challenge/spearman/hc/mean" in remarks


def test_a_configuration_with_two_seeds_is_replicated_once():
    twin = record("R9", overall=0.35, pearson=0.1, config={"seed": 7, "lr": "R1"})
    _, found, remarks = chosen(*TRIALS, twin, top=2, use_case=("overall",))
    assert found == ["R1"]
    assert remarks == ["R9 is R1 with another seed: both are replicated as R1"]


def test_without_a_baseline_the_finalists_are_all():
    assert chosen(*TRIALS[2:], top=1, use_case=("overall",)) == ([], ["R1"], [])
    with pytest.raises(UserError, match="--use-case peerson: unknown; did you mean 'pearson'"):
        chosen(*TRIALS, use_case=("peerson",))
    with pytest.raises(UserError, match="there is nothing to replicate"):
        chosen(record("R1", status="failed"))


def test_the_ledger_keeps_replicates_apart(tmp_path):
    ledger = open_ledger(tmp_path / "c", "c", {}, {}, must_exist=False)
    ledger.append(record("R1"))
    ledger.append(record("R1-s1", replicate_of="R1"))
    for _ in range(2):
        assert list(ledger.records) == ["R1"]
        assert list(ledger.replicates) == ["R1-s1"]
        assert set(ledger.everything()) == {"R1", "R1-s1"}
        ledger.close()
        ledger = open_ledger(tmp_path / "c", "c", {}, {}, must_exist=True)
    ledger.close()


def test_families_of_few_and_many_replicates_keep_step():
    """One baseline and three finalists, two seeds: the first seed of all four comes first."""
    studies, started = [SimpleNamespace(name=name) for name in "ab"], {"a": 0, "b": 0}
    order, allocation = "", Even({"a": 2, "b": 6})
    while (study := allocation.choose(studies, started)) is not None:
        order += study.name
        started[study.name] += 1
    assert order == "abbbabbb"
