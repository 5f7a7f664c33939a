"""How good a configuration a search ends with, at equal cost: nrtune's against plain TPE and random search, on a surrogate.

    python benchmarks/regret.py [--seeds 40] [--trainings 60] [--agreement 0.7]

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
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import optuna
from strategies import JointTPE, Nrtune, Random, Strategy, Trial
from surrogate import EPOCHS, Point, World

from nrtune.orchestrator.lifecycle.rules import EarlyStopping, Rule, default_grace, make_rule

NAMES = ("baseline", "rank_stability", "distributional", "noise_gated", "quantile_sampling", "hard_negative")
SEARCHED, FINALISTS = 0.6, 8
"""Of the confirmed search: the share of trainings that it searches with, and how many configurations it then confirms."""


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


Confirm = Callable[[Mapping[int, Sequence[float]], int], int | None]
"""Of finalists, the best of the search first, with the values that their fresh seeds gave, and the fresh seeds that there are
in all: which gets the next one; None where it is settled."""


def successive_halving(values: Mapping[int, Sequence[float]], budget: int) -> int | None:
    """Rounds of as many trainings each; after each the better half, by the mean of its fresh seeds, goes on."""
    left, seeds = list(values), 0
    rounds = max(1, (len(left) - 1).bit_length())
    for _ in range(rounds):
        seeds += max(1, budget // (rounds * len(left)))
        for finalist in sorted(left, key=lambda finalist: len(values[finalist])):
            if len(values[finalist]) < seeds:
                return finalist
        left = sorted(left, key=lambda finalist: -statistics.fmean(values[finalist]))[: (len(left) + 1) // 2]
    return None


def three_seeds(values: Mapping[int, Sequence[float]], budget: int) -> int | None:
    """As many for each."""
    return next((finalist for finalist, of in values.items() if len(of) < budget // len(values)), None)


def confirmed(world: World, trials: Sequence[Trial], count: int, budget: int, confirm: Confirm) -> Point:
    """What is declared after fresh seeds: of those that have most of them, the one whose mean is the highest."""
    finalists = finished(trials)[:count]
    values: dict[int, list[float]] = {place: [] for place in range(len(finalists))}
    for _ in range(budget):
        if (place := confirm(values, budget)) is None:
            break
        values[place].append(float(world.train(finalists[place].point, 1 + len(values[place])).release[-1]))
    most = max(map(len, values.values()))
    best = max(
        (place for place in values if len(values[place]) == most), key=lambda place: statistics.fmean(values[place])
    )
    return finalists[best].point


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
        return confirmed(world, found, FINALISTS, rest, successive_halving)
    if share < 1:
        return confirmed(world, found, 10, rest, three_seeds)
    return finished(found)[0].point


STRATEGIES = (
    "nrtune, even", "nrtune, adaptive", "nrtune, even confirmed", "nrtune, adaptive confirmed",
    "TPE, one space", "random", "random, top 10 replicated",
)  # fmt: skip


def main() -> None:
    """Run and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
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
        world = World(seed, NAMES, arguments.agreement)
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
        cells = [regret[name, how] * 1000 for how in budgets]
        shown = [f"{np.mean(cell):.1f} ± {np.std(cell, ddof=1) / np.sqrt(len(cell)):.1f}" for cell in cells]
        write(f"| {name} | {' | '.join(shown)} |\n")


if __name__ == "__main__":
    main()
