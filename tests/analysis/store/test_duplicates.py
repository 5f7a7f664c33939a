"""Trials whose metrics are bitwise the same although their parameters are not."""

from __future__ import annotations

from nrtune.analysis.store.duplicates import find_duplicates
from nrtune.analysis.store.records import TrialRecord


def record(name: str, value: float, *, epochs: int = 2, **config: object) -> TrialRecord:
    return TrialRecord.from_flat(
        name=name,
        family="hard_negative",
        number=0,
        fingerprint=name,
        status="finished",
        config=config,
        metrics={} if value < 0 else {"test/spearman": value, "val/mse": 1.0},
        epochs_trained=epochs,
        seconds=1.0,
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T00:00:00+00:00",
    )


def test_the_studys_own_case():
    """HN1, HN5 and HN6 were one model: the temperature never reached the sampler."""
    temperatures = {"HN1": 1.0, "HN5": 2.0, "HN6": 0.5}
    records = [record(name, 0.704235, seed=42, temperature=t) for name, t in temperatures.items()]
    (alike,) = find_duplicates([*records, record("HN2", 0.700365, seed=123, temperature=1.0)])
    assert alike.names == ("HN1", "HN5", "HN6")
    assert alike.differing == {"temperature": (1.0, 2.0, 0.5)}
    assert alike.sentence() == (
        "HN1, HN5, HN6: bitwise the same metrics although they differ in temperature (1.0, 2.0, 0.5): no effect here"
    )


def test_a_parameter_that_one_does_not_have_differs():
    (alike,) = find_duplicates([record("A", 0.5, loss="mse"), record("B", 0.5, loss="mse2", k=1.0)])
    assert alike.differing == {"k": (None, 1.0), "loss": ("mse", "mse2")}


def test_what_is_not_alike():
    assert find_duplicates([record("A", 0.5, k=1), record("B", 0.5000000001, k=2)]) == []
    assert find_duplicates([record("A", 0.5, k=1), record("B", 0.5, k=2, epochs=3)]) == []
    assert find_duplicates([record("A", -1, k=1), record("B", -1, k=2)]) == []  # failed: no metrics
