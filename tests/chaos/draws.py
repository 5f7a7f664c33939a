"""Draws of faults: which are planted around which start, and at which moments; always the same for a number."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import faults_of_folders  # noqa: F401
import faults_of_mlflow  # noqa: F401
import faults_of_the_machine  # noqa: F401
from fault_table import BEFORE, DURING, ENDING, REFUSED, Fault

NUMBER = int(os.environ.get("NRTUNE_CHAOS_NUMBER", "30"))
AMONG = {name for name in os.environ.get("NRTUNE_CHAOS_FAULTS", "").split(",") if name}


class Planted(NamedTuple):
    """A fault of a draw, with its number in it, and, of those while the search runs, the share of all epochs trained by then."""

    number: int
    fault: Fault
    moment: float = 0.0


class Start(NamedTuple):
    """A start of a draw, what is planted around it, and how it ends, with the number and the moment of that."""

    at_server: bool
    refused: Sequence[Planted]
    before: Sequence[Planted]
    during: Sequence[Planted]
    ending: tuple[int, str, float]

    def __str__(self) -> str:
        first = [f"{one.number} {one.fault.name}" for one in (*self.refused, *self.before)]
        then = [f"{one.number} {one.fault.name} at {one.moment:.0%}" for one in self.during]
        number, name, moment = self.ending
        return f"{'server' if self.at_server else 'own'}: {', '.join([*first, *then])}, {number} {name} at {moment:.0%}"


class Deck:
    """Faults of a kind, each once in random order before any comes again."""

    def __init__(self, chance: random.Random, faults: Sequence[Any]) -> None:
        self._chance, self._faults, self._left = chance, faults, list[Any]()

    def draw(self, number: int, at_server: bool | None = None) -> list[Any]:
        """So many, fewer where not that many differ, which can be where the search is tracked."""
        drawn: list[Any] = []
        for _ in range(min(number, len(self._faults))):
            if not self._left:
                self._left = self._chance.sample(self._faults, len(self._faults))
            fit = [one for one in self._left if not isinstance(one, Fault) or one.at_server in (None, at_server)]
            if fit:
                self._left.remove(fit[0])
                drawn.append(fit[0])
        return drawn


def draws() -> Iterator[list[Start]]:
    """One after the other, of decks that they share, so that a few of them have every fault: NUMBER faults each."""
    chance, can_mount = random.Random(0), os.getuid() == 0
    tables = [
        [one for one in table if (can_mount or not one.own_disk) and (not AMONG or one.name in AMONG)]
        for table in (REFUSED, BEFORE, DURING)
    ]
    names = [name for name in ENDING if not AMONG or name in AMONG] or ["interrupted"]
    refused, before, during, endings = (Deck(chance, table) for table in (*tables, names))
    while True:
        starts: list[tuple[bool, list[Fault], list[Fault], list[Fault], str]] = []
        left = NUMBER
        while left > 0:
            at_server = chance.random() < 0.5
            (ending,), left = endings.draw(1), left - 1
            # Those while it runs first, of which there are most.
            while_it_runs = during.draw(min(chance.randint(1, 3), left), at_server)
            around = before.draw(min(chance.randint(1, 2), left - len(while_it_runs)), at_server)
            without_a_ray = refused.draw(min(chance.randint(0, 2), left - len(while_it_runs) - len(around)))
            left -= len(while_it_runs) + len(around) + len(without_a_ray)
            starts.append((at_server, without_a_ray, around, while_it_runs, ending))
        yield _numbered(starts, chance)


def _numbered(
    starts: Sequence[tuple[bool, list[Fault], list[Fault], list[Fault], str]], chance: random.Random
) -> list[Start]:
    """The same with numbers, and with moments all over the campaign."""
    n = sum(len(while_it_runs) + 1 for *_, while_it_runs, _ in starts)
    moments = iter([(place + chance.random()) / n for place in range(n)])
    numbers = iter(range(1, NUMBER + 1))
    return [
        Start(
            at_server,
            [Planted(next(numbers), one) for one in without_a_ray],
            [Planted(next(numbers), one) for one in around],
            [Planted(next(numbers), one, next(moments)) for one in while_it_runs],
            (next(numbers), ending, next(moments)),
        )
        for at_server, without_a_ray, around, while_it_runs, ending in starts
    ]


def draw(number: int) -> list[Start]:
    """The starts of a draw, always the same on a machine on which the same can be planted."""
    return next(islice(draws(), number, None))
