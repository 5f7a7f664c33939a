"""A family's grid: every configuration that a few values of each parameter make, in an order that a seed decides.

A choice has all its values; a number its lowest, its highest and those between that divide its range evenly, on its own
scale, `VALUES` in all (a whole number rounded, each once). A parameter is varied only where it applies.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from nrtune.search_spaces import Choice, Family, Float, Int, Parameter, Value
from nrtune.trainables.core.randomness import derive_seed

VALUES = 3
"""Values of each number on a grid."""


class Grid:
    """A family's grid, which is never held as a whole: combinations have millions of configurations.

    size: how many there are. Point 0 has the first value of every parameter, and the last parameter changes fastest.
    """

    def __init__(self, family: Family) -> None:
        self.space = family.space
        self.fixed = dict(family.fixed)
        self._values = [values_of(parameter) for parameter in self.space]
        # What the parameters from each place on depend on: paths that agree in it go on alike, and are counted once.
        self._asked_of = [{name for p in self.space[place:] for name in p.when} for place in range(len(self.space))]
        self._counts: dict[tuple[int, frozenset[tuple[str, Value]]], int] = {}
        self.size = self._count(0, self.fixed)

    def point(self, number: int) -> dict[str, Value]:
        """The values of a point. Raises IndexError for a number that is not below `size`."""
        if not 0 <= number < self.size:
            raise IndexError(f"the grid has {self.size} points, and no number {number}")
        chosen = dict(self.fixed)
        found: dict[str, Value] = {}
        for place, parameter in enumerate(self.space):
            if not parameter.applies(chosen):
                continue
            for value in self._values[place]:
                chosen[parameter.name] = value
                below = self._count(place + 1, chosen)
                if number < below:
                    break
                number -= below
            found[parameter.name] = chosen[parameter.name]
        return found

    def shuffled(self, seed: int) -> Iterator[dict[str, Value]]:
        """Every point once, in an order that depends on the seed alone."""
        return (self.point(number) for number in shuffled(self.size, seed))

    def _count(self, place: int, chosen: dict[str, Value]) -> int:
        """The points below a place of the space, given what is chosen before it."""
        if place == len(self.space):
            return 1
        key = place, frozenset((name, chosen[name]) for name in self._asked_of[place] if name in chosen)
        if key not in self._counts:
            parameter = self.space[place]
            if parameter.applies(chosen):
                ways = [{**chosen, parameter.name: value} for value in self._values[place]]
            else:
                ways = [chosen]
            self._counts[key] = sum(self._count(place + 1, way) for way in ways)
        return self._counts[key]


def values_of(parameter: Parameter) -> tuple[Value, ...]:
    """A parameter's values on a grid, from the lowest on; of a choice in its own order."""
    match parameter:
        case Choice():
            return parameter.values
        case Int():
            return tuple(dict.fromkeys(round(value) for value in _spread(parameter)))
        case Float():
            return tuple(dict.fromkeys(_spread(parameter)))


def _spread(number: Float | Int) -> list[float]:
    """Evenly spread from low to high, which are exact, on the number's scale."""
    steps = [step / (VALUES - 1) for step in range(1, VALUES - 1)]
    low, high = number.low, number.high
    if number.log:
        between = [low * (high / low) ** step for step in steps]
    else:
        between = [low + (high - low) * step for step in steps]
    return [low, *between, high]


def shuffled(size: int, seed: int) -> Iterator[int]:
    """The numbers below `size`, each once, in an order that depends on the seed alone; the first few cost little."""
    generator = random.Random(derive_seed(seed, "grid"))  # noqa: S311  # an order, and no secret
    moved: dict[int, int] = {}  # Fisher and Yates's shuffle, of which only what differs from the order is kept
    for place in range(size):
        other = generator.randrange(place, size)
        yield moved.get(other, other)
        moved[other] = moved.pop(place, place)
