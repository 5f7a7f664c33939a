"""The benchmark of searches: its surrogate is deterministic and bounded, its strategies spend what they may."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from regret import NAMES, STRATEGIES, Budget, declared, finished, search
from strategies import Nrtune, Random
from surrogate import EPOCHS, Point, World, drawn, point_of

from nrtune.orchestrator.lifecycle.rules import EarlyStopping, make_rule
from nrtune.search_spaces import FAMILIES

RULE = make_rule(EPOCHS, EarlyStopping(9, 3))
WORLD = World(0, NAMES[:2], 0.7)


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_a_world_follows_from_its_seed_and_nothing_is_above_its_best():
    columns = drawn(FAMILIES.get("rank_stability"), 200, np.random.default_rng(0))
    points = [point_of("rank_stability", columns, row) for row in range(200)]
    assert all(FAMILIES.get("rank_stability").complete(point.values) == dict(point.values) for point in points)
    again, other = World(0, NAMES[:2], 0.7), World(1, NAMES[:2], 0.7)
    values = [WORLD.true(point) for point in points]
    assert values == [again.true(point) for point in points] != [other.true(point) for point in points]
    assert max(values) < WORLD.best == again.best
    assert (WORLD.train(points[0], 3).validation == again.train(points[0], 3).validation).all()


def test_seeds_have_their_noise_and_curves_rise_to_their_end():
    point = Point("baseline", dict(FAMILIES.get("baseline").starting_points()[0][1]))
    trainings = [WORLD.train(point, seed) for seed in range(400)]
    release, validation = (np.array([getattr(one, name) for one in trainings]) for name in ("release", "validation"))
    assert release[:, -1].mean() == pytest.approx(WORLD.true(point), abs=0.004)  # SE 0.001
    assert release[:, -1].std() == pytest.approx(0.02, rel=0.15)
    assert 0.35 < np.corrcoef(release[:, -1], validation[:, -1])[0, 1] < 0.65
    assert (np.diff(validation.mean(axis=0)) > -0.002).all()


@pytest.mark.parametrize("strategy", [lambda: Nrtune(WORLD, "even", 1000), lambda: Random(WORLD)])
def test_budgets_are_kept(strategy):
    whole = search(WORLD, strategy(), Budget(12, None, by_epochs=False))
    stopped = search(WORLD, strategy(), Budget(12, RULE, by_epochs=False))
    by_epochs = search(WORLD, strategy(), Budget(12, RULE, by_epochs=True))
    assert len(whole) == len(stopped) == 12
    assert all(trial.epochs == EPOCHS for trial in whole)
    assert by_epochs[:12] == stopped
    assert 12 * EPOCHS <= sum(trial.epochs for trial in by_epochs) < 13 * EPOCHS
    assert {trial.epochs for trial in by_epochs if trial.stopped} <= set(RULE.rungs)
    assert not any(trial.stopped for trial in finished(by_epochs))


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_declares_a_configuration(name):
    point = declared(WORLD, name, Budget(24, RULE, by_epochs=False))
    assert WORLD.true(point) <= WORLD.best
    assert point == declared(WORLD, name, Budget(24, RULE, by_epochs=False))
