"""Which family gets the next trial."""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from nrtune.analysis.store.records import TrialRecord
from nrtune.orchestrator.search.allocation import Adaptive, Even

FAMILIES = [SimpleNamespace(name=name) for name in "abc"]
WANTED = dict.fromkeys("abc", 10)


def record(family: str, number: int, value: float | None) -> TrialRecord:
    return TrialRecord.from_flat(
        name=f"{family}{number}", family=family, number=number, fingerprint=f"{family}{number}", config={},
        status="failed" if value is None else "finished", metrics={} if value is None else {"m": value},
        epochs_trained=1, seconds=1.0, started="", ended="",
    )  # fmt: skip


def adaptive(values: dict[str, list[float | None]], least: int = 2, wanted: dict[str, int] = WANTED) -> Adaptive:
    records = [record(family, n, value) for family, of in values.items() for n, value in enumerate(of)]
    return Adaptive(wanted, least, {one.fingerprint: one for one in records}, lambda one: one.metrics.get("m"))


def test_even_the_family_that_has_started_least_is_next():
    allocation = Even({"a": 2, "b": 1})
    families = FAMILIES[:2]
    assert allocation.choose(families, {"a": 0, "b": 0}).name == "a"
    assert allocation.choose(families, {"a": 1, "b": 0}).name == "b"
    assert allocation.choose(families, {"a": 1, "b": 1}).name == "a"
    assert allocation.choose(families, {"a": 2, "b": 1}) is None
    assert allocation.left(Counter(a=1), ()) == 2
    assert allocation.left(Counter(a=1), ("b",)) == 1


def test_every_family_gets_its_minimum_first():
    allocation = adaptive({"a": [0.9, 0.95], "b": [0.1]})
    assert allocation.choose(FAMILIES, Counter(a=2, b=1)).name == "c"
    assert allocation.choose(FAMILIES, Counter(a=2, b=1, c=1)).name == "b"


def test_then_the_family_that_is_likeliest_to_improve():
    allocation = adaptive({"a": [0.30, 0.31, 0.32], "b": [0.10, 0.11, 0.12], "c": [0.05, 0.25, 0.45]})
    chances = allocation.chances("abc")
    # c has the best value and by far the widest spread; b would have to jump over all it has shown.
    assert chances["c"] > chances["a"] > chances["b"]
    assert allocation.choose(FAMILIES, Counter(a=3, b=3, c=3)).name == "c"
    assert allocation.choose(FAMILIES[:2], Counter(a=3, b=3, c=3)).name == "a"


def test_failures_make_a_family_less_likely():
    allocation = adaptive({"a": [0.3, 0.4, None, None], "b": [0.3, 0.4]})
    chances = allocation.chances("ab")
    assert chances["a"] == pytest.approx(chances["b"] * 3 / 5)


def test_the_chance_is_that_of_students_t():
    """Against draws from the documented prediction."""
    allocation = adaptive({"a": [0.2, 0.3, 0.5], "b": [0.1, 0.4]})
    own, common = (
        np.var([0.2, 0.3, 0.5], ddof=1),
        np.mean([np.var([0.2, 0.3, 0.5], ddof=1), np.var([0.1, 0.4], ddof=1)]),
    )
    variance = (2 * own + 2 * common) / 4
    draws = np.mean([0.2, 0.3, 0.5]) + math.sqrt(variance * 4 / 3) * np.random.default_rng(0).standard_t(4, 1_000_000)
    assert allocation.chances("a")["a"] == pytest.approx((draws > 0.5).mean(), abs=0.002)


def test_all_is_handed_out_and_what_a_closed_family_leaves_goes_to_the_others():
    allocation = adaptive({"a": [0.3, 0.4], "b": [0.2, 0.3], "c": [0.1, 0.2]})
    started: Counter[str] = Counter(a=2, b=2, c=2)
    while (family := allocation.choose(FAMILIES[:2], started)) is not None:
        started[family.name] += 1
    assert started.total() == 30
    assert started["c"] == 2
    assert allocation.left(Counter(a=10, c=2), ("c",)) == 18
    assert allocation.left(Counter(a=10, c=2), "abc") == 0


def test_a_family_may_have_a_minimum_of_its_own():
    allocation = Adaptive({"a": 10, "b": 3}, 2, {}, lambda one: None, {"a": 4, "b": 5, "c": 9})
    assert allocation.least == {"a": 4, "b": 3}


def test_nothing_known_is_no_error():
    assert adaptive({}).choose(FAMILIES, Counter()).name == "a"
    constant = adaptive({"a": [0.2, 0.2], "b": [0.1, 0.1], "c": [0.1, 0.1]})
    assert constant.choose(FAMILIES, Counter(a=2, b=2, c=2)).name == "a"
    assert adaptive({"a": [None, None]}, wanted={"a": 3}).choose(FAMILIES[:1], Counter(a=2)).name == "a"


def test_the_best_family_gets_most_in_the_end():
    """A search in which one family of three is better by two standard deviations."""
    generator, values = np.random.default_rng(1), {name: [] for name in "abc"}
    started: Counter[str] = Counter()
    for _ in range(30):
        allocation = adaptive(values, least=3)
        family = allocation.choose(FAMILIES, started).name
        started[family] += 1
        values[family].append(float(generator.normal(0.3 + 0.1 * (family == "b"), 0.05)))
    assert started.total() == 30
    assert min(started.values()) >= 3
    assert started["b"] > 15
