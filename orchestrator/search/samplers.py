"""What proposes a family's parameters: Optuna's samplers, a new one for each proposal, or nothing of its own for a grid."""

from __future__ import annotations

import warnings
from typing import Literal

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

SamplerName = Literal["tpe", "nsga2", "random", "grid"]

RANDOM = 4
"""Random trials with which TPE begins, beyond a family's starting points: by default a family has 10 trials, and Optuna's own
10 random ones would leave none to propose."""

POPULATION = 10
"""Finished trials a generation of NSGA-II: a family seldom has more than some tens."""


def start_up(name: SamplerName, starting_points: int) -> int | None:
    """Trials of a family before the first that a sampler proposes of what it has learned; None for one that learns nothing.

    That many, if none of them fails. TPE learns from what was stopped early, too; NSGA-II from finished trials alone.
    """
    if name == "tpe":
        return starting_points + RANDOM
    return max(starting_points, POPULATION) if name == "nsga2" else None


def assign_generation(study: optuna.Study, number: int) -> None:
    """See that a trial that was asked belongs to a generation of NSGA-II, if that is the study's sampler.

    Optuna gives none to a trial that was enqueued whole: starting points could not be anybody's parents.
    """
    if isinstance(study.sampler, NSGAIISampler):
        study.sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[number])


def make_sampler(name: SamplerName, seed: int, starting_points: int = 0) -> BaseSampler:
    """A sampler that has made no proposal yet: whatever it knows of earlier ones, it reads in the study.

    starting_points: those that gave TPE something to learn, or still may; Optuna waits for as many trials that have finished
    or were stopped, and RANDOM more.

    NSGA-II keeps the generation of each trial, and the parents of each generation, there too. A grid's proposals are
    enqueued whole, and nothing is left to draw.
    """
    seed %= 2**32
    if name == "nsga2":
        return NSGAIISampler(population_size=POPULATION, seed=seed)
    if name == "tpe":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=starting_points + RANDOM)
    return RandomSampler(seed=seed)
