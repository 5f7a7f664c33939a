"""Early stopping: each rule against its definition and Ray's own, and what interruptions do to it: nothing."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule
from worker import worker_of

from nrtune.analysis.store.records import Proposal
from nrtune.orchestrator.execution.schedulers import EarlyStopper
from nrtune.orchestrator.lifecycle.messages import MESSAGE, EpochEnded, TrialFailed
from nrtune.orchestrator.lifecycle.rules import RULES, EarlyStopping, default_grace, make_rule
from nrtune.orchestrator.lifecycle.rules.median import MIN_CURVES
from nrtune.orchestrator.lifecycle.stopping import STOPPING, Arrivals, open_arrivals
from nrtune.trainables.core.files import BEST, LAST
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.loop import Diverged, Training
from nrtune.trainables.training.training_data import TrainingData

EPOCHS, GRACE = 9, 2


def rule_of(rule, epochs=EPOCHS, grace=GRACE, factor=2):
    return make_rule(epochs, EarlyStopping(grace, factor, rule))


@pytest.fixture
def build(tmp_path) -> Callable[..., Arrivals]:
    """`build(RULE)`: arrivals of a new campaign."""

    def new(rule, ended=(), failed=(), **more):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return open_arrivals(rule_of(rule, **more), folder, ended, failed)

    return new


def again(arrivals, ended=(), failed=()):
    """The same campaign, opened anew."""
    return open_arrivals(arrivals.rule, arrivals.path.parent, ended, failed)


def run(arrivals, name, values, protected=False):
    """Train epoch by epoch; the epoch at which the trial stopped."""
    for epoch in range(1, len(values)):
        arrival = arrivals.arrive(name, values[:epoch], protected=protected)
        if arrival is not None and arrival.stopped:
            return epoch
    return len(values)


def curves(seed, count=24, epochs=EPOCHS):
    generator = np.random.default_rng(seed)
    return {
        f"t{seed}-{n}": tuple(map(float, values)) for n, values in enumerate(generator.uniform(size=(count, epochs)))
    }


@pytest.mark.parametrize(
    ("epochs", "grace", "factor", "expected"),
    [
        (80, 9, 3, (9, 27)),
        (4, 2, 3, (2,)),
        (2, 2, 3, ()),
        (1, 2, 3, ()),
        (10, 2, 1.5, (2, 3, 5, 7)),
        (100, 1, 10, (1, 10)),
        (6, 1, 1.2, (1, 2, 3, 4, 5)),
    ],
)
def test_rungs_are_those_of_rays_asha(epochs, grace, factor, expected):
    assert make_rule(epochs, EarlyStopping(grace, factor)).rungs == expected
    if expected:
        scheduler = AsyncHyperBandScheduler(
            metric="v", mode="max", max_t=epochs, grace_period=grace, reduction_factor=factor
        )
        theirs = {math.ceil(m - 1e-9) for m, _ in scheduler._brackets[0]._rungs if m < epochs}
        assert tuple(sorted(theirs - {epochs})) == expected


def test_the_default_grace_leaves_short_trials_alone():
    assert make_rule(1, EarlyStopping(default_grace(1), 3)).rungs == ()
    assert make_rule(2, EarlyStopping(default_grace(2), 3)).rungs == ()


@pytest.mark.parametrize(
    ("epochs", "expected"), [(3, (2,)), (4, (2,)), (7, (3,)), (9, (3,)), (20, (3, 9)), (80, (9, 27))]
)
def test_the_default_grace_puts_no_rung_near_the_end(epochs, expected):
    assert make_rule(epochs, EarlyStopping(default_grace(epochs), 3)).rungs == expected


def test_where_trials_may_be_stopped_they_are_scored():
    assert (
        make_rule(80, EarlyStopping(8, 3, "hyperband")).rungs == make_rule(80, EarlyStopping(8, 3)).rungs == (8, 24, 72)
    )
    assert make_rule(80, EarlyStopping(8, 3, "median")).rungs == (8, 16, 24, 32, 40, 48, 56, 64, 72)
    assert make_rule(2, EarlyStopping(2, 3, "median")).rungs == ()


class Trial(SimpleNamespace):
    """What Ray's schedulers look at of a trial; two trials are never the same."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def run_rays(scheduler, values, judged):
    """Train epoch by epoch by a scheduler of Ray's own, which may stop the trial after epochs of `judged` alone."""
    one = Trial(trial_id=f"{id(values)}")
    scheduler.on_trial_add(None, one)
    for epoch, value in enumerate(values[:-1], start=1):
        shown = {"epoch": epoch, "v": value}
        if epoch not in judged and isinstance(scheduler, MedianStoppingRule):
            scheduler.on_trial_complete(None, one, shown)  # notes it
        elif scheduler.on_trial_result(None, one, shown) == "STOP":
            return epoch
    return len(values)


@pytest.mark.parametrize("factor", [2, 3, 2.5])
@pytest.mark.parametrize("seed", range(3))
def test_unharmed_rules_decide_as_rays_own(seed, factor, build):
    given = {"time_attr": "epoch", "metric": "v", "mode": "max", "grace_period": GRACE}
    asha = AsyncHyperBandScheduler(max_t=EPOCHS, reduction_factor=factor, **given)
    median = MedianStoppingRule(min_samples_required=MIN_CURVES, min_time_slice=math.inf, **given)
    for rule, theirs in (("asha", asha), ("median", median)):
        ours = build(rule, factor=factor)
        found = [(run(ours, n, v), run_rays(theirs, v, ours.rule.rungs)) for n, v in curves(seed, count=40).items()]
        assert all(one == other for one, other in found)
        assert min(found) < (EPOCHS, EPOCHS)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(3))
def test_a_restart_changes_no_decision(rule, seed, build):
    """Trials one after the other; opened anew before each, from the file or from what had ended, they stop alike."""
    whole, opened, past, stops = build(rule), build(rule), {}, []
    for number, (name, values) in enumerate(curves(seed).items()):
        protected = number < 2
        expected = run(whole, name, values, protected)
        opened = again(opened)
        rebuilt = build(rule, past.items())
        assert run(opened, name, values, protected) == run(rebuilt, name, values, protected) == expected
        assert opened.stopped(name) == rebuilt.stopped(name) == whole.stopped(name) == (expected < EPOCHS)
        past[name] = values[:expected]
        stops.append(expected)
    assert opened.path.read_bytes() == whole.path.read_bytes()
    assert min(stops) < EPOCHS  # the rule does stop trials
    assert stops[:2] == [EPOCHS, EPOCHS]
    assert set(stops) <= {*make_rule(EPOCHS, EarlyStopping(GRACE, 2, rule)).rungs, EPOCHS}


def test_a_rung_that_was_passed_unseen_counts_for_others(build):
    arrivals = build("asha", epochs=80, grace=8, factor=3)
    resumed = [epoch / 100 for epoch in range(1, 32)]
    assert arrivals.arrive("resumed", resumed) is None
    assert arrivals.arrive("resumed", [*resumed, 0.32]) is None
    late = arrivals.arrive("late", [0.07] * 8)
    assert (late.others, late.threshold, late.stopped) == (1, 0.08, True)
    assert arrivals.arrive("later", [0.24] * 24).threshold == 0.24


def test_asha_stops_what_falls_behind_but_never_the_studys_own(build):
    asha = build("asha", grace=1, factor=3)
    assert not asha.arrive("good", [0.9]).stopped
    assert asha.arrive("bad", [0.1]).stopped
    assert not asha.arrive("published", [0.1], protected=True).stopped
    assert [asha.stopped(name) for name in ("good", "bad", "published", "unknown")] == [False, True, False, False]


def test_the_median_rule_is_its_definition(build):
    """Stopped is what has a best value below the median of the means, from the grace period on, of all that came as far."""
    arrivals, ended, checked = build("median"), [], 0
    for name, values in curves(7, count=40).items():
        expected = EPOCHS
        for epoch in (2, 4, 6, 8):
            means = [np.mean(other[GRACE - 1 : epoch]) for other in ended if len(other) >= epoch]
            if len(means) >= MIN_CURVES and max(values[:epoch]) < np.median(means):
                expected = epoch
                break
        assert run(arrivals, name, values) == expected
        ended.append(values[:expected])
        checked += expected < EPOCHS
    assert checked > 0


def test_the_median_rule_spares_what_is_protected_and_all_while_there_are_few_curves(build):
    arrivals = build("median")
    for number in range(MIN_CURVES):
        assert run(arrivals, f"bad{number}", [0.5 - number / 10] * EPOCHS) == EPOCHS
    for number in range(MIN_CURVES):
        run(arrivals, f"good{number}", [0.9] * EPOCHS)
    assert run(arrivals, "published", [0.1] * EPOCHS, protected=True) == EPOCHS
    assert run(arrivals, "worse", [0.1] * EPOCHS) == GRACE
    assert arrivals.stopped("worse")
    assert not arrivals.stopped("published")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("told", ["at its end", "at the next start"])
def test_a_failed_trial_counts_nowhere(rule, told, build):
    past = {f"p{number}": (0.5, 0.5, 0.5) for number in range(40)}
    harmed, bare = build(rule, past.items()), build(rule, past.items())
    failed, probe = itertools.islice((n for n in map(str, itertools.count()) if harmed.rule.bracket(n) == 0), 2)
    run(harmed, failed, [0.9] * (GRACE + 2))
    assert harmed.arrive(probe, (0.6,) * GRACE).others == bare.arrive(probe, (0.6,) * GRACE).others + 1
    if told == "at its end":
        harmed.take_back(failed)
        harmed = again(harmed)
    else:
        harmed = again(harmed, failed=[failed])
    for name, values in curves(1, count=40).items():
        for epoch in harmed.rule.rungs:
            assert harmed.arrive(name, values[:epoch]) == bare.arrive(name, values[:epoch])


def test_hyperbands_brackets_begin_a_rung_later_each_and_the_last_stops_nobody(build):
    """A trial that is worse than all is stopped at the first rung of its bracket, which its name decides."""
    found = []
    for count in (200, 20):
        arrivals = build("hyperband", epochs=80, grace=8, factor=3)
        for number in range(60):
            run(arrivals, f"good{number}", [0.9] * 80, protected=True)
        found.append([run(arrivals, f"bad{number}", [0.1 - number / 1e4] * 80) for number in range(count)])
    counts = [found[0].count(epoch) for epoch in (8, 24, 72, 80)]
    assert sum(counts) == 200
    assert counts == sorted(counts, reverse=True)  # e times fewer each
    assert counts[-1] > 0
    assert found[0][:20] == found[1]


@pytest.mark.parametrize("damage", ["gone", "empty", "another rule", "no JSON", "torn"])
def test_a_file_of_arrivals_that_is_none_is_made_again_from_the_curves(damage, build):
    arrivals = build("median")
    ended = {name: values[: run(arrivals, name, values)] for name, values in curves(3).items()}
    text = arrivals.path.read_text()
    match damage:
        case "gone":
            arrivals.path.unlink()
        case "empty":
            arrivals.path.write_text("")
        case "another rule":
            arrivals.path.write_text(text.replace('"grace_epochs": 2', '"grace_epochs": 3', 1))
        case "no JSON":
            arrivals.path.write_text(text + "what\n")
        case "torn":
            arrivals.path.write_text(text + '{"fingerprint": "half')
    opened, whole = again(arrivals, ended.items()), build("median")
    for name, values in curves(3).items():
        run(whole, name, values)
    for name, values in curves(4).items():
        assert run(opened, name, values) == run(whole, name, values)
    assert Path(f"{opened.path}.old").exists() == (
        damage in ("empty", "another rule", "no JSON")
    )  # nothing is thrown away
    assert again(opened).stopped(name) == opened.stopped(name)


def test_a_full_disk_leaves_no_half_line(build, monkeypatch):
    arrivals = build("asha")
    arrivals.arrive("one", [0.1] * GRACE)
    before = arrivals.path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            arrivals.arrive("two", [0.2] * GRACE)
    assert arrivals.path.read_bytes() == before
    assert again(arrivals).arrive("two", [0.2] * GRACE).others == 1


def test_every_decision_follows_from_the_lines_above_it(build):
    """Several trials at a time, some of which fail: each line's others are those that had arrived and were not taken back."""
    chance, arrivals = random.Random(5), build("asha", epochs=30, grace=2, factor=2)
    running = {name: list(values) for name, values in curves(5, count=40, epochs=30).items()}
    trained: dict[str, list[float]] = {name: [] for name in running}
    while running:
        name = chance.choice([*running][:6])
        trained[name].append(running[name].pop())
        arrival = arrivals.arrive(name, trained[name])
        if not running[name] or (arrival is not None and arrival.stopped):
            del running[name]
        elif chance.random() < 0.02:
            arrivals.take_back(name)
            del running[name]
    _, *lines = map(json.loads, arrivals.path.read_text().splitlines())
    there: dict[tuple[str, int], float] = {}
    stopped = 0
    for line in lines:
        name = line["fingerprint"]
        if "taken_back_after" in line:
            there = {
                (of, epoch): v for (of, epoch), v in there.items() if of != name or epoch <= line["taken_back_after"]
            }
            continue
        others = [value for (_, epoch), value in there.items() if epoch == line["epoch"]]
        assert line["others"] == len(others)
        assert line["threshold"] == (np.percentile(others, 50) if others else None)
        assert line["shown"] == line["left"] == trained[name][line["epoch"] - 1]
        stopped += line["threshold"] is not None and line["shown"] < line["threshold"]
        there[name, line["epoch"]] = line["left"]
    assert stopped == sum(map(arrivals.stopped, trained)) > 5
    assert len(lines) > 60


# What follows trains: messages come from the worker, as in a campaign.

RATES = (0.01, 0.02, 0.015, 0.005, 0.01, 1e-5, 2e-5)
"""The learning rate of each trial; the last learn too slowly."""

TRIALS = len(RATES)
PROTECTED = (0, 3)
DIVERGES = {1: 7, 4: 4}
"""Trials whose loss is not finite any more from an epoch on."""


class Campaign:
    """Trials one after the other as Ray Tune steps them, by worker and scheduler alone; `strike` may end any step."""

    def __init__(self, data: TrainingData, folder: Path, rule: str, epochs: int = 12, grace: int = 2) -> None:
        self.data, self.folder, self.epochs = data, folder, epochs
        self.rule = rule_of(rule, epochs, grace)
        (folder / "trials").mkdir(parents=True)
        (folder / "campaign.json").touch()
        self.ended: dict[str, tuple[str, tuple[float, ...]]] = {}

    def proposals(self):
        for number in range(TRIALS):
            flat = preset("small", "factorized") | {"epochs": self.epochs, "seed": 0, "lr": RATES[number]}
            flat |= {"encoder.channels": 2, "encoder.embedding_dropout": 0.01 * number}
            config = TrialConfig.from_flat(flat)
            yield (
                number,
                Proposal("T", "baseline", number, config.to_flat(), self.data.fingerprint_of(config), None, {}),
            )

    def run(self, strike: Callable[[str], str | None] = lambda moment: None) -> dict[str, object]:
        """Run all, opened anew after each strike, to what each trial left."""
        while len(self.ended) < TRIALS:
            failed = [name for name, (status, _) in self.ended.items() if status == "failed"]
            curves_of = ((name, curve) for name, (status, curve) in self.ended.items() if status != "failed")
            stopper = EarlyStopper(open_arrivals(self.rule, self.folder, curves_of, failed))
            for number, proposal in self.proposals():
                if proposal.fingerprint not in self.ended and not self._train(stopper, number, proposal, strike):
                    break
        return {
            name: (status, curve, (self.folder / "trials" / name / BEST).read_bytes() if status != "failed" else None)
            for name, (status, curve) in self.ended.items()
        }

    def _train(self, stopper, number, proposal, strike) -> bool:
        """Train one to its end; False where the driver was struck."""
        config = {"fingerprint": proposal.fingerprint, "protected": number in PROTECTED, "compared": True}
        config["epochs"] = self.rule.epochs
        trial = SimpleNamespace(config=config)
        worker = worker_of(self.data, self.folder, proposal, score_at=self.rule.rungs)
        while True:
            result = worker.train()
            message = result[MESSAGE]
            if (kind := strike("trained")) is None:
                if isinstance(message, TrialFailed):
                    assert message.failure.failure_class == "diverged"
                    self.ended[proposal.fingerprint] = ("failed", ())
                    if strike("recorded") is not None:
                        return False
                    stopper.arrivals.take_back(proposal.fingerprint)
                    return True
                assert isinstance(message, EpochEnded)
                decision = "STOP" if result["done"] else stopper.on_trial_result(None, trial, result)
                if (kind := strike("decided")) is None:
                    if decision == "CONTINUE":
                        continue
                    status = "finished" if message.final else "pruned"
                    assert stopper.arrivals.stopped(proposal.fingerprint) == (status == "pruned")
                    assert message.metrics is not None
                    self.ended[proposal.fingerprint] = (status, message.curve)
                    return True
            if kind != "worker":
                if kind == "checkpoint":
                    (self.folder / "trials" / proposal.fingerprint / LAST).unlink(missing_ok=True)
                elif kind == "damage":
                    (self.folder / "trials" / proposal.fingerprint / LAST).write_bytes(b"half")
                return False
            worker = worker_of(self.data, self.folder, proposal, score_at=self.rule.rungs)


@pytest.fixture(scope="module")
def tiny_data() -> TrainingData:
    return TrainingData(simulate(100).dataset)


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses that are not finite from an epoch of DIVERGES on; a trial's number is its dropout."""
    monkeypatch.setenv(PLUGIN_VARIABLE, "")  # which the worker sets
    train = Training._train_and_validate

    def trains(self: Training) -> None:
        if self.epoch + 1 >= DIVERGES.get(round(self.config.to_flat()["encoder.embedding_dropout"] * 100), math.inf):
            raise Diverged("on purpose")
        train(self)

    monkeypatch.setattr(Training, "_train_and_validate", trains)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("draws", [1, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.end_to_end
def test_a_campaign_that_is_struck_anywhere_ends_as_an_unharmed_one(rule, draws, tiny_data, tmp_path, diverging):
    """Trials with and without protection, some of which diverge; one to four strikes between any two steps."""
    steps = []
    whole = Campaign(tiny_data, tmp_path / "whole", rule).run(lambda moment: steps.append(moment))
    statuses = [status for status, *_ in whole.values()]
    assert {"finished", "pruned", "failed"} <= set(statuses)
    for draw in range(draws):
        chance = random.Random(draw)
        at = set(chance.sample(range(len(steps)), chance.randint(1, 4)))
        count = iter(range(10 * len(steps)))

        def strike(moment, at=at, count=count, chance=chance):
            return chance.choice(["driver", "worker", "checkpoint", "damage"]) if next(count) in at else None

        assert Campaign(tiny_data, tmp_path / f"{draw}", rule).run(strike) == whole
        assert (tmp_path / f"{draw}" / STOPPING).exists()


def test_trials_of_fewer_epochs_are_compared_with_such_alone(tmp_path):
    """Their learning rate falls sooner: after as many epochs they are further on."""
    arrivals = open_arrivals(rule_of("asha"), tmp_path, (), ())
    epochs = arrivals.rule.epochs
    fewer = arrivals.rule.rungs[-1]
    assert not arrivals.arrive("long", [0.1] * GRACE, epochs=epochs).stopped
    for name, value in (("short", 0.9), ("shorter", 0.8)):
        arrivals.arrive(name, [value] * GRACE, epochs=fewer)
    assert arrivals.arrive("last", [0.05] * GRACE, epochs=epochs).others == 1
    assert arrivals.arrive("worse", [0.2] * GRACE, epochs=fewer).stopped
    assert not arrivals.arrive("longer", [0.3] * GRACE).stopped
    assert arrivals.arrive("short", [0.9] * fewer, epochs=fewer) is None  # that is its end, no rung
    read = again(arrivals)
    assert read.arrive("next", [0.15] * GRACE, epochs=fewer).others == 3
    lines = [json.loads(line) for line in arrivals.path.read_text().splitlines()[1:]]
    assert {line["fingerprint"]: line.get("epochs") for line in lines if "epochs" in line} == dict.fromkeys(
        ("short", "shorter", "worse", "next"), fewer
    )
