"""A surrogate of the study: real search spaces and starting points, a response that is known, trainings that cost nothing.

A world is drawn by its seed. Of each family it has a smooth, deterministic response over the parameters (a few good and bad
regions, each over two or three of them, an effect of each choice), about the mean that the study reported. A training shows
the release part's Spearman with its seed's noise, and a learning curve of the validation's, which agrees with it only in part.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.orchestrator.campaign.families import family_of
from nrtune.orchestrator.state.settings import Settings
from nrtune.search_spaces import Choice, Family, Int, Parameter, Value
from nrtune.trainables.core.randomness import derive_generator

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[np.object_]]
"""Values of n configurations by parameter, (n,) each; None where it is not asked for."""

EPOCHS = 80
MEANS: Mapping[str, float] = {
    "baseline": 0.326, "rank_stability": 0.351, "distributional": 0.348, "noise_gated": 0.337, "quantile_sampling": 0.327,
    "hard_negative": 0.353, "contrastive": 0.316, "curriculum": 0.334, "factorized": 0.330,
}  # fmt: skip
"""CAGI5 Spearman: means of the published configurations, of the baseline of its two runs; of factorized none was scored."""

FAMILY_SD, CHOICE_SD = 0.015, 0.008
GOOD, BAD, WIDTH = (0.02, 0.05), (0.02, 0.06), 0.25
"""Heights and depths of the regions, and their width, of a parameter's range."""

SEED_SD, SHARED = 0.02, 0.5
"""Standard deviation over seeds, and the share of its variance that validation and release have in common."""

DROP, DROP_SD, DROP_POWER, CURVE_SD, CURVE_MEMORY = 0.3, 0.03, 2.0, 0.02, 0.9
"""Validation at epoch e lacks drop · (1 − e / EPOCHS)² of its end, and has noise that is gone at the end."""

DENSE, BEST_OF, STEPS = 20_000, 64, 60
"""Random configurations of a family, of which the best are improved by so many random steps, to find its optimum."""


class Point(NamedTuple):
    """A configuration: its family, and a value for each parameter that applies."""

    family: str
    values: Mapping[str, Value]


class Training(NamedTuple):
    """What a training shows: validation's Spearman after each epoch, and the release part's at each, (EPOCHS,) both."""

    validation: Floats
    release: Floats


class Response:
    """A smooth function of a family's parameters."""

    def __init__(self, family: Family, generator: np.random.Generator) -> None:
        self.parameters = family.searched()
        self.fixed = family.fixed
        numbers = [parameter.name for parameter in self.parameters if not isinstance(parameter, Choice)]
        self.regions: list[tuple[list[str], Floats, float]] = []
        for sign, heights in ((1, GOOD), (1, GOOD), (1, GOOD), (-1, BAD), (-1, BAD)):
            names = list(generator.choice(numbers, min(int(generator.integers(2, 4)), len(numbers)), replace=False))
            self.regions.append((names, generator.random(len(names)), sign * generator.uniform(*heights)))
        self.effects = {
            parameter.name: {value: generator.normal(0, CHOICE_SD) for value in parameter.values}
            for parameter in self.parameters
            if isinstance(parameter, Choice)
        }

    def __call__(self, columns: Columns) -> Floats:
        """Of n configurations, (n,)."""
        n = len(next(iter(columns.values())))
        places = {p.name: _place(p, columns[p.name]) for p in self.parameters if not isinstance(p, Choice)}
        found = np.zeros(n)
        for names, centre, height in self.regions:
            away = sum((places[name] - at) ** 2 for name, at in zip(names, centre, strict=True))
            found += height * np.nan_to_num(np.exp(-away / (2 * WIDTH**2)))
        for name, effects in self.effects.items():
            found += [0.0 if value is None else effects[value] for value in columns[name]]
        return found


class World:
    """Families with their responses; everything follows from the seed.

    agreement: correlation, over configurations, between what validation and release show without noise.
    """

    def __init__(self, seed: int, families: Sequence[str], agreement: float) -> None:
        self.seed, self.agreement = seed, agreement
        self.families = {name: family_of(Settings(encoders=(), starting_points="all"), None, name) for name in families}
        self._offsets, self._true, self._other = {}, {}, {}
        self._scale: dict[str, tuple[float, float, float, float]] = {}
        found = []
        for name, family in self.families.items():
            generator = derive_generator("world", seed, name)
            self._offsets[name] = MEANS[name] + generator.normal(0, FAMILY_SD)
            self._true[name], self._other[name] = Response(family, generator), Response(family, generator)
            dense = drawn(family, DENSE, generator)
            true, other = self._true[name](dense), self._other[name](dense)
            self._scale[name] = true.mean(), true.std(), other.mean(), other.std()
            found.append(self._offsets[name] - true.mean() + _highest(self._true[name], dense, true, generator))
        self.best = max(found)

    def true(self, point: Point) -> float:
        """What a configuration is worth, over all seeds and on all data."""
        mean = self._scale[point.family][0]
        return float(self._offsets[point.family] + self._true[point.family](_columns(self, point))[0] - mean)

    def train(self, point: Point, seed: int) -> Training:
        """A training; the same point and seed give the same one, whoever asks."""
        true = self.true(point)
        _, sd, other_mean, other_sd = self._scale[point.family]
        other = (self._other[point.family](_columns(self, point))[0] - other_mean) / other_sd * sd
        centred = true - self._offsets[point.family]
        validation = 0.7 + centred * self.agreement + other * np.sqrt(1 - self.agreement**2)
        validation += self._offsets[point.family] - np.mean(list(self._offsets.values()))
        generator = derive_generator("training", self.seed, repr(point), seed)
        shared, own, others = generator.normal(size=3)
        validation += SEED_SD * (np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own)
        release = true + SEED_SD * (np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * others)
        left = 1 - np.arange(1, EPOCHS + 1) / EPOCHS
        drop = (DROP + DROP_SD * derive_generator("drop", self.seed, repr(point)).normal()) * left**DROP_POWER
        return Training(validation - drop + left * _wander(generator), release - drop / 2 + left * _wander(generator))


def drawn(family: Family, n: int, generator: np.random.Generator) -> dict[str, NDArray[np.object_]]:
    """Uniformly drawn configurations of a family, as columns."""
    found: dict[str, NDArray[np.object_]] = {}
    for parameter in family.searched():
        if isinstance(parameter, Choice):
            column = np.array([*parameter.values, None], object)[generator.integers(len(parameter.values), size=n)]
        else:
            column = _at(parameter, generator.random(n))
        column[~_applies(parameter, found, family.fixed, n)] = None
        found[parameter.name] = column
    return found


def point_of(name: str, columns: Columns, row: int = 0) -> Point:
    """One of several configurations of a family."""
    return Point(name, {key: column[row] for key, column in columns.items() if column[row] is not None})


def _columns(world: World, point: Point) -> dict[str, NDArray[np.object_]]:
    parameters = world.families[point.family].searched()
    return {p.name: np.array([point.values.get(p.name)], object) for p in parameters}


def _applies(parameter: Parameter, found: Columns, fixed: Mapping[str, Value], n: int) -> NDArray[np.bool_]:
    holds = np.ones(n, bool)
    for name, values in parameter.when.items():
        column = found[name] if name in found else np.full(n, fixed.get(name), object)
        holds &= np.array([value in values for value in column])
    return holds


def _place(parameter: Parameter, column: NDArray[np.object_]) -> Floats:
    """Where numbers lie in their range, from 0 to 1 on their own scale; NaN where they are not asked for."""
    assert not isinstance(parameter, Choice)
    values = column.astype(np.float64)
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        return np.log(values / low) / np.log(high / low)
    return (values - low) / (high - low)


def _at(parameter: Parameter, places: Floats) -> NDArray[np.object_]:
    """The values at these places of a number's range."""
    assert not isinstance(parameter, Choice)
    low, high = float(parameter.low), float(parameter.high)
    values = low * (high / low) ** places if parameter.log else low + (high - low) * places
    return (values.round().astype(int) if isinstance(parameter, Int) else values).astype(object)


def _highest(response: Response, dense: Columns, values: Floats, generator: np.random.Generator) -> float:
    """The highest response: of the best random configurations, after random steps of their numbers that improve them."""
    rows = np.argsort(values)[-BEST_OF:]
    columns, best = {name: column[rows].copy() for name, column in dense.items()}, values[rows].copy()
    numbers = [parameter for parameter in response.parameters if not isinstance(parameter, Choice)]
    for step in range(STEPS):
        tried = dict(columns)
        for parameter in numbers:
            places = _place(parameter, columns[parameter.name])
            moved = np.clip(places + generator.normal(0, 0.3 * 0.93**step, len(rows)), 0, 1)
            tried[parameter.name] = np.where(np.isnan(places), None, _at(parameter, np.nan_to_num(moved)))
        better = response(tried) > best
        best = np.where(better, response(tried), best)
        columns = {name: np.where(better, tried[name], columns[name]) for name in columns}
    return float(best.max())


@functools.cache
def _memory() -> Floats:
    """What turns independent noise of each epoch into noise that remembers, (EPOCHS, EPOCHS)."""
    lag = np.subtract.outer(np.arange(EPOCHS), np.arange(EPOCHS))
    return np.linalg.cholesky(CURVE_MEMORY ** np.abs(lag))


def _wander(generator: np.random.Generator) -> Floats:
    return CURVE_SD * (_memory() @ generator.normal(size=EPOCHS))
