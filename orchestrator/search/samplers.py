"""What proposes a family's parameters: Optuna's samplers, a new one for each proposal, or nothing of its own for a grid."""

from __future__ import annotations

import warnings
from typing import Literal

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

SamplerName = Literal["tpe", "nsga2", "random", "grid"]

POPULATION = 10
"""Finished trials a generation of NSGA-II: a family seldom has more than some tens."""


def assign_generation(study: optuna.Study, number: int) -> None:
    """See that a trial that was asked belongs to a generation of NSGA-II, if that is the study's sampler.

    Optuna gives none to a trial that was enqueued whole: starting points could not be anybody's parents.
    """
    if isinstance(study.sampler, NSGAIISampler):
        study.sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[number])


def make_sampler(name: SamplerName, seed: int) -> BaseSampler:
    """A sampler that has made no proposal yet: whatever it knows of earlier ones, it reads in the study.

    NSGA-II keeps the generation of each trial, and the parents of each generation, there too. A grid's proposals are
    enqueued whole, and nothing is left to draw.
    """
    seed %= 2**32
    if name == "nsga2":
        return NSGAIISampler(population_size=POPULATION, seed=seed)
    if name == "tpe":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return TPESampler(seed=seed, multivariate=True, group=True)
    return RandomSampler(seed=seed)
