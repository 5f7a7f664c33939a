"""HyperBand and the median rule, Ray's own, against their definitions; what a restart does to them."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from orchestrator.schedulers import (
    MIN_CURVES,
    Asha,
    Curve,
    EarlyStopping,
    Hyperband,
    Median,
    build_scheduler,
    rungs,
)

RULES = ("asha", "hyperband", "median")
EPOCHS, GRACE = 9, 2


class Trial(SimpleNamespace):
    """What the schedulers look at of a trial; two trials are never the same."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def trial(name: str, protected: bool = False) -> Trial:
    return Trial(trial_id=name, config={"protected": protected, "fingerprint": name})


def result(epoch, value, **more):
    return {"epoch": epoch, "val_spearman": value, **more}


def build(rule, past=(), epochs=EPOCHS, grace=GRACE, factor=2):
    return build_scheduler(epochs=epochs, stopping=EarlyStopping(grace, factor, rule), past=past)


def run(scheduler, one, values, start=0):
    """Report values one by one, and end as Tune does; the epoch at which the trial stopped."""
    scheduler.on_trial_add(None, one)
    for epoch, value in enumerate(values[start:], start=start + 1):
        history = [{"epoch": float(e), "val/spearman": v} for e, v in enumerate(values[:epoch], start=1)]
        shown = result(epoch, value, history=history if epoch == start + 1 else history[-1:])
        if scheduler.on_trial_result(None, one, shown) == "STOP" or epoch == len(values):
            scheduler.on_trial_complete(None, one, shown)
            return epoch
    return len(values)


@pytest.mark.parametrize(("rule", "kind"), [("asha", Asha), ("hyperband", Hyperband), ("median", Median)])
def test_each_rule_has_its_scheduler(rule, kind):
    assert type(build(rule)) is kind


def test_where_trials_may_be_stopped_they_are_scored():
    assert rungs(80, EarlyStopping(8, 3, "hyperband")) == rungs(80, EarlyStopping(8, 3)) == (8, 24, 72)
    assert rungs(80, EarlyStopping(8, 3, "median")) == (8, 16, 24, 32, 40, 48, 56, 64, 72)
    assert rungs(2, EarlyStopping(2, 3, "median")) == ()


def curves(seed, count=24, epochs=EPOCHS):
    generator = np.random.default_rng(seed)
    return [
        Curve(f"t{seed}-{number}", tuple((epoch + 1, float(value)) for epoch, value in enumerate(values)))
        for number, values in enumerate(generator.uniform(size=(count, epochs)))
    ]


def values(curve):
    return [value for _, value in curve.values]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(3))
def test_a_restart_changes_no_decision(rule, seed):
    """Trials one after the other; after a restart before each, from the curves of what had ended, they stop alike."""
    whole, past, stops = build(rule), [], []
    for number, curve in enumerate(curves(seed)):
        one = trial(curve.fingerprint, protected=number < 2)
        expected = run(whole, one, values(curve))
        restarted = build(rule, past)
        assert run(restarted, trial(curve.fingerprint, protected=number < 2), values(curve)) == expected
        assert (curve.fingerprint in restarted.stopped) == (one.trial_id in whole.stopped) == (expected < EPOCHS)
        past.append(curve._replace(values=curve.values[:expected]))
        stops.append(expected)
    assert min(stops) < EPOCHS  # the rule does stop trials
    assert stops[:2] == [EPOCHS, EPOCHS]
    assert set(stops) <= {*rungs(EPOCHS, EarlyStopping(GRACE, 2, rule)), EPOCHS}


@pytest.mark.parametrize("rule", RULES)
def test_a_trial_that_goes_on_after_an_interruption_is_measured_as_before(rule):
    """Whether its epochs come one by one or its first result tells of several, later trials meet the same cutoffs."""
    for seed in range(3):
        *others, resumed = curves(seed, count=13)
        probes = curves(seed + 100, count=12)
        both = build(rule, others), build(rule, others)
        for scheduler, start in zip(both, (0, 4), strict=True):
            run(scheduler, trial(resumed.fingerprint, protected=True), values(resumed), start=start)
        stops = [[run(scheduler, trial(p.fingerprint), values(p)) for p in probes] for scheduler in both]
        assert stops[0] == stops[1]


def test_the_median_rule_is_its_definition():
    """Stopped is what has a best value below the median of the means, from the grace period on, of all that came as far."""
    scheduler, ended, checked = build("median"), [], 0
    for curve in curves(7, count=40):
        expected = EPOCHS
        for epoch in (2, 4, 6, 8):
            means = [np.mean(other[GRACE - 1 : epoch]) for other in ended if len(other) >= epoch]
            if len(means) >= MIN_CURVES and max(values(curve)[:epoch]) < np.median(means):
                expected = epoch
                break
        assert run(scheduler, trial(curve.fingerprint), values(curve)) == expected
        ended.append(values(curve)[:expected])
        checked += expected < EPOCHS
    assert checked > 0


def test_the_median_rule_spares_what_is_protected_and_all_while_there_are_few_curves():
    scheduler = build("median")
    for number in range(MIN_CURVES):
        assert run(scheduler, trial(f"bad{number}"), [0.5 - number / 10] * EPOCHS) == EPOCHS
    for number in range(MIN_CURVES):
        run(scheduler, trial(f"good{number}"), [0.9] * EPOCHS)
    assert run(scheduler, trial("published", protected=True), [0.1] * EPOCHS) == EPOCHS
    assert run(scheduler, trial("worse"), [0.1] * EPOCHS) == GRACE
    assert scheduler.stopped == {"worse"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("ended_by", ["result", "worker"])
def test_a_failed_trial_counts_nowhere(rule, ended_by):
    past = [Curve(f"p{number}", ((1, 0.5), (2, 0.5), (3, 0.5))) for number in range(MIN_CURVES)]
    told, bare = build(rule, past), build(rule, past)
    failed = trial("failed")
    told.on_trial_add(None, failed)
    for epoch in range(1, GRACE + 2):
        assert told.on_trial_result(None, failed, result(epoch, 0.9)) == "CONTINUE"
    if ended_by == "result":
        told.on_trial_complete(None, failed, result(GRACE + 2, math.nan, failure_class="diverged", done=True))
    else:
        told.on_trial_error(None, failed)
    for probe in curves(1, count=8):
        assert run(told, trial(probe.fingerprint), values(probe)) == run(bare, trial(probe.fingerprint), values(probe))


def test_hyperbands_brackets_begin_a_rung_later_each_and_the_last_stops_nobody():
    """A trial that is worse than all is stopped at the first rung of its bracket, which its name decides."""
    scheduler = Hyperband(epochs=80, stopping=EarlyStopping(8, 3, "hyperband"))
    for number in range(60):
        run(scheduler, trial(f"good{number}", protected=True), [0.9] * 80)
    stops = [run(scheduler, trial(f"bad{number}"), [0.1 - number / 1e4] * 80) for number in range(200)]
    counts = [stops.count(epoch) for epoch in (8, 24, 72, 80)]
    assert sum(counts) == 200
    assert counts == sorted(counts, reverse=True)  # Ray's shares: e times fewer each
    assert counts[-1] > 0
    again = Hyperband(epochs=80, stopping=EarlyStopping(8, 3, "hyperband"))
    for number in range(60):
        run(again, trial(f"good{number}", protected=True), [0.9] * 80)
    assert [run(again, trial(f"bad{number}"), [0.1 - number / 1e4] * 80) for number in range(20)] == stops[:20]
