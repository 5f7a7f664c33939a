"""Failures are told by class, with a hint where something sets the failed apart that can't well be chance."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from in_process import run
from trial_records import record

from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.views.failures import failure_causes, separation


def trials(*values: object, name: str = "lr") -> list[dict[str, object]]:
    return [{name: value} for value in values]


def test_a_number_that_sets_the_failed_apart_is_named_with_where():
    others = trials(0.001, 0.004, 0.005, 0.01, 0.0187)
    assert separation(trials(0.0215, 0.03, 0.05), others) == "lr above 0.02"  # 2 of C(8, 3) = 56 ways
    assert separation(trials(0.0001, 0.0002, 0.0004), others) == "lr below 0.001"
    # The number said stays true where little is between the two.
    assert separation(trials(0.01871, 0.03, 0.05), others) == "lr above 0.0187"


def test_a_choice_that_sets_the_failed_apart_is_named():
    others = trials(*["mse"] * 5, "huber", name="loss")
    assert separation(trials(*["pearson"] * 3, name="loss"), others) == "loss pearson"
    assert separation(trials("pearson", "pearson", "mse", name="loss"), others) == ""


@pytest.mark.parametrize(
    ("failed", "others"),
    [
        (trials(0.05), trials(*[0.01] * 30)),  # 2 of 31 ways: one failure says nothing
        (trials(0.03, 0.04, 0.05), trials(0.01, 0.02)),  # 2 of 10
        (trials(0.005, 0.04, 0.05), trials(*[0.01] * 10)),  # no separation
        (trials(0.03, 0.04, 0.05), []),  # nothing to compare to
        ([{"lr": 0.05}, {"lr": 0.06}, {}], trials(*[0.01] * 10)),  # not all have it
    ],
)
def test_what_may_be_chance_is_not_said(failed, others):
    assert separation(failed, others) == ""


def test_of_all_ways_to_fail_by_chance_at_most_one_in_twenty_gets_a_hint():
    numbers = random.Random(1)
    everyone = [{name: numbers.random() for name in ("lr", "dropout", "k")} for _ in range(9)]
    ways = list(itertools.combinations(range(9), 4))
    told = sum(
        bool(separation([everyone[n] for n in way], [everyone[n] for n in range(9) if n not in way])) for way in ways
    )
    assert 0 < told <= len(ways) / 20


def test_status_tells_causes_by_class(tmp_path: Path, monkeypatch, capsys):
    ledger = open_ledger(tmp_path / "c", "c", {"select_on": "val"}, {}, must_exist=False)
    for n in range(9):
        ledger.append(record(f"RS-{n}", config={"lr": 0.001 * (n + 1), "seed": n}))
    for n, lr in enumerate((0.03, 0.04, 0.05)):
        fields = {"status": "failed", "failure_class": "diverged", "failure": "the loss is not finite"}
        ledger.append(record(f"BAD-{n}", config={"lr": lr, "seed": 9}, **fields))
    ledger.append(record("OOM-1", config={"lr": 0.002}, status="failed", failure_class="oom", failure="x" * 100))
    ledger.close()
    _, out, _ = run(monkeypatch, capsys, "status", tmp_path / "c")
    said = " ".join(out.split())
    assert "3 diverged: lr above 0.02 (such as BAD-0: the loss is not finite)" in said
    assert f"1 oom (OOM-1: {'x' * 59}…)" in said


def test_the_most_frequent_class_is_first_and_nothing_failed_is_nothing():
    failed = [record(str(n), status="failed", failure_class=of, failure="f") for n, of in enumerate(("a", "b", "b"))]
    assert [cause.split(" (")[0] for cause in failure_causes(failed)] == ["2 b", "1 a"]
    assert failure_causes([record("fine")]) == []
