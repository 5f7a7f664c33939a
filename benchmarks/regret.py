"""How good a configuration a search ends with, at equal cost: nrtune's against plain TPE and random search, on a surrogate.

    python benchmarks/regret.py [--seeds 40] [--first 0] [--trainings 60] [--agreement 0.7]

Each seed is a world of its own (surrogate.py): six families' real search spaces and starting points, a response that is known,
noise over seeds of standard deviation 0.02, learning curves. A strategy sees what trainings show, one after the other, and
declares a configuration. Simple regret is the highest value of the world minus the true one of what was declared; printed are
its mean and standard error over seeds: without early stopping, with ASHA at equal trainings (stopped ones count whole), and
with ASHA at equal epochs. Agreement is the correlation of what validation, by which ASHA stops, and the release part, which is
optimised, show without noise.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray
from strategies import JointTPE, Nrtune, Random, Strategy, Trial
from surrogate import EPOCHS, Point, World

from nrtune.orchestrator.lifecycle.rules import EarlyStopping, Rule, default_grace, make_rule
from nrtune.orchestrator.search.halving import Contest, decide

NAMES = ("baseline", "rank_stability", "distributional", "noise_gated", "quantile_sampling", "hard_negative")
SEARCHED = 0.6
"""The share of trainings that a confirmed search searches with."""

DEFAULT = "nrtune, adaptive confirmed"
BASELINE, OVERALL = "baseline", "overall"


class Budget(NamedTuple):
    """What a search may spend: trainings, however long they were; or epochs, by a rule of early stopping or without."""

    trainings: int
    rule: Rule | None
    by_epochs: bool

    def left(self, trials: Sequence[Trial]) -> bool:
        """Whether one more training may begin."""
        if self.by_epochs:
            return sum(trial.epochs for trial in trials) < self.trainings * EPOCHS
        return len(trials) < self.trainings


def search(world: World, strategy: Strategy, budget: Budget) -> list[Trial]:
    """All trainings of a search, one after the other."""
    trials: list[Trial] = []
    shown: dict[int, list[float]] = {rung: [] for rung in budget.rule.rungs} if budget.rule else {}
    while budget.left(trials):
        point, may_stop = strategy.ask()
        training = world.train(point, 0)
        epochs = EPOCHS
        for rung, others in shown.items():
            assert budget.rule is not None
            curve = training.validation[:rung].tolist()
            threshold = budget.rule.threshold(others)
            others.append(budget.rule.leaves(curve))
            if may_stop and threshold is not None and budget.rule.shows(curve) < threshold:
                epochs = rung
                break
        trials.append(Trial(point, float(training.release[epochs - 1]), epochs, epochs < EPOCHS))
        strategy.tell(trials[-1])
    return trials


def finished(trials: Sequence[Trial]) -> list[Trial]:
    """Those that may be declared, the best first; a configuration that was trained twice counts once."""
    found: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda trial: -trial.value):
        if not trial.stopped:
            found.setdefault(repr(trial.point), trial)
    return list(found.values())


class Fresh:
    """The values of configurations with fresh seeds, by name; each world gives the same seed the same value."""

    def __init__(self, world: World, points: Mapping[str, Point]) -> None:
        self.world, self.points = world, points
        self.values: dict[str, list[float]] = {name: [] for name in points}

    def train(self, name: str) -> None:
        """One fresh seed more."""
        self.values[name].append(float(self.world.train(self.points[name], 1 + len(self.values[name])).release[-1]))

    def rank(self, use_case: str, counted: Mapping[str, int]) -> list[str]:
        """By the mean over so many of them."""
        return sorted(counted, key=lambda name: -statistics.fmean(self.values[name][: counted[name]]))


def confirmed(world: World, trials: Sequence[Trial], budget: int) -> Point:
    """What nrtune's own search declares: who leads after its successive halving over fresh seeds, a baseline if that is above."""
    best = finished(trials)
    published = next(trial for trial in trials if trial.point.family == BASELINE)
    of_baseline = [published, *(trial for trial in best if trial.point.family == BASELINE)][:2]
    points = {repr(trial.point): trial.point for trial in (*of_baseline, *best)}
    contest = Contest(
        tuple(name for name, point in points.items() if point.family != BASELINE),
        tuple(dict.fromkeys(repr(trial.point) for trial in of_baseline)),
    )
    fresh = Fresh(world, points)
    while True:
        trained = {name: dict.fromkeys(range(len(values)), True) for name, values in fresh.values.items() if values}
        decision = decide({OVERALL: contest}, trained, budget, fresh.rank)
        if not decision.next:
            break
        for one in decision.next:
            fresh.train(one.name)
    leaders = [*decision.leaders.values(), *decision.baselines.get(OVERALL, ())]
    return points[max(leaders, key=lambda name: statistics.fmean(fresh.values[name]))] if leaders else best[0].point


def replicated(world: World, trials: Sequence[Trial], count: int, budget: int) -> Point:
    """The best mean of so many finalists, each with as many fresh seeds."""
    points = {repr(trial.point): trial.point for trial in finished(trials)[:count]}
    fresh = Fresh(world, points)
    for name in points:
        for _ in range(budget // len(points)):
            fresh.train(name)
    return points[fresh.rank(OVERALL, {name: len(values) for name, values in fresh.values.items()})[0]]


def declared(world: World, name: str, budget: Budget) -> Point:
    """What a strategy ends with."""
    kind, _, how = name.partition(", ")
    share = SEARCHED if how.endswith("confirmed") else 0.5 if how == "top 10 replicated" else 1.0
    part = budget._replace(trainings=round(budget.trainings * share))
    strategy: Strategy
    if kind == "nrtune":
        # By epochs a search goes on for as long as they last.
        trials = EPOCHS * budget.trainings if part.by_epochs else -(-part.trainings // len(world.families))
        strategy = Nrtune(world, how.split()[0], trials)
    else:
        strategy = JointTPE(world) if kind == "TPE" else Random(world)
    found, rest = search(world, strategy, part), budget.trainings - part.trainings
    if share == SEARCHED:
        return confirmed(world, found, rest)
    if share < 1:
        return replicated(world, found, 10, rest)
    return finished(found)[0].point


STRATEGIES = (
    "nrtune, even", "nrtune, adaptive", "nrtune, even confirmed", "nrtune, adaptive confirmed",
    "TPE, one space", "random", "random, top 10 replicated",
)  # fmt: skip


def main() -> None:
    """Run and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--trainings", type=int, default=60)
    parser.add_argument("--agreement", type=float, default=0.7)
    parser.add_argument("--only", default="", help="strategies whose names contain this")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asha = make_rule(EPOCHS, EarlyStopping(default_grace(EPOCHS), 3))
    budgets = {
        "no early stopping": Budget(arguments.trainings, None, False),
        "ASHA, equal trainings": Budget(arguments.trainings, asha, False),
        "ASHA, equal epochs": Budget(arguments.trainings, asha, True),
    }
    chosen = [name for name in STRATEGIES if arguments.only in name]
    regret = {pair: np.zeros(arguments.seeds) for pair in itertools.product(chosen, budgets)}
    for seed in range(arguments.seeds):
        world = World(arguments.first + seed, NAMES, arguments.agreement)
        for name, how in regret:
            point = declared(world, name, budgets[how])
            regret[name, how][seed] = max(0.0, world.best - world.true(point))
        sys.stderr.write(f"\r{seed + 1}/{arguments.seeds} worlds ")
    sys.stderr.write("\n")
    write = sys.stdout.write
    write(
        f"simple regret × 1000, {arguments.seeds} worlds, cost of {arguments.trainings} trainings of {EPOCHS} epochs,"
    )
    write(f" agreement {arguments.agreement:g}\n\n| strategy | {' | '.join(budgets)} |\n|---{'|---' * len(budgets)}|\n")
    for name in chosen:
        shown = [_shown(regret[name, how]) for how in budgets]
        write(f"| {name} | {' | '.join(shown)} |\n")
    write(
        f"\n{DEFAULT} less each other, paired:\n\n| strategy | {' | '.join(budgets)} |\n|---{'|---' * len(budgets)}|\n"
    )
    for name in chosen if DEFAULT in chosen else ():
        shown = [_shown(regret[DEFAULT, how] - regret[name, how]) for how in budgets]
        write(f"| {name} | {' | '.join(shown)} |\n")


def _shown(regret: NDArray[np.float64]) -> str:
    """Mean and standard error of regrets, or of differences, times 1000."""
    cell = regret * 1000
    return f"{np.mean(cell):.1f} ± {np.std(cell, ddof=1) / np.sqrt(len(cell)):.1f}"


if __name__ == "__main__":
    main()
