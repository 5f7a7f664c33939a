"""Successive halving over seeds: which finalists of a search are trained with how many fresh seeds.

A search's best trials are partly its luckiest. So the finalists of each use case, and its baselines, are trained anew:

1. every finalist with one fresh seed, every baseline on an encoder of theirs with LEAST;
2. the better half of each use case's finalists, by their means over fresh seeds, with LEAST in all: a configuration ends with
   one fresh seed, of which nothing is claimed, or with enough;
3. while the budget lasts, a half of that half, then a half of that …, at last the leader alone, with one more seed each, and
   the baselines with as many as they have. All that have LEAST take part: who leads may fall behind one who fell out.

How many finalists enter follows from the budget, and use cases are served in their order. The decision is a function of
what was trained: the rounds are gone through from the first on, and what has ended counts where its round comes. So a
campaign that was interrupted decides as an unharmed one, in whatever order its trainings ended.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from nrtune.analysis.selection.candidates import MIN_SEEDS

LEAST, MOST = MIN_SEEDS, 10
"""Fresh seeds that what is confirmed gets, and at most."""

MOST_FAILURES = 2
"""A configuration of which so many trainings with fresh seeds failed gets no more."""

ENTRY = 2 / 3
"""The share of the budget that the first two rounds may take; what is left tells the leaders apart from the baseline."""

LEAST_BUDGET = 2 * LEAST
"""Trainings that confirm one finalist against the baseline on its encoder."""


class Contest(NamedTuple):
    """A use case's finalists, best first, and its baselines; encoders: of both, by name, as a finalist's baselines share its own.

    The first baseline on a finalist's encoder is never left out.
    """

    finalists: tuple[str, ...]
    baselines: tuple[str, ...]
    encoders: Mapping[str, str] = MappingProxyType({})

    def compared_to(self, name: str) -> tuple[str, ...]:
        """The baselines on a finalist's encoder; the first of all where there is none."""
        encoder = self.encoders.get(name)
        return tuple(one for one in self.baselines if self.encoders.get(one) == encoder) or self.baselines[:1]

    def entering(self, finalists: int, *, all_baselines: bool) -> Contest:
        """The contest of so many of the first finalists, with the first baseline on the encoder of each, or with all on it."""
        names = self.finalists[:finalists]
        wanted = {one for name in names for one in self.compared_to(name)[: None if all_baselines else 1]}
        return self._replace(finalists=names, baselines=tuple(one for one in self.baselines if one in wanted))


class Training(NamedTuple):
    """A configuration's training with the fresh seed of this number; the first is 0."""

    name: str
    seed: int


Rank = Callable[[str, Mapping[str, int]], Sequence[str]]
"""A use case's order: of these configurations, each by its mean over so many of its first fresh seeds (those that failed
aside), the names of all that have a value, best first. Baselines are left out of the answer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """What comes next, and what has come of it so far.

    next: trainings that have not ended and that need not wait for one another; none at the end. entered: the finalists of
    each use case that entered, none where the budget did not serve it. baselines: of each use case that was served. seeds:
    fresh seeds with a value, by name. leaders: the configuration that leads each use case that was served, as far as there
    is one. spent: trainings that ended, of those asked for.
    """

    next: tuple[Training, ...]
    entered: Mapping[str, tuple[str, ...]]
    baselines: Mapping[str, tuple[str, ...]]
    seeds: Mapping[str, int]
    leaders: Mapping[str, str]
    spent: int

    def is_confirmed(self, use_case: str) -> bool:
        """Whether the leader and each baseline of a use case have LEAST fresh seeds, and the search's own best any."""
        if use_case not in self.leaders or not self.seeds.get(self.entered[use_case][0]):
            return False
        return all(self.seeds.get(name, 0) >= LEAST for name in (self.leaders[use_case], *self.baselines[use_case]))


def decide(
    contests: Mapping[str, Contest], trained: Mapping[str, Mapping[int, bool]], budget: int, rank: Rank
) -> Decision:
    """What is trained next.

    contests: by use case, in the order in which they are served. trained: by name, whether the training with each fresh
    seed that has ended gave a value; configurations that are in no contest may be among them, and lead. budget: trainings
    in all, those that have ended included.
    """
    replay = _Replay(contests, trained, budget, rank)
    for batch in replay.rounds():
        missing = tuple(dict.fromkeys(one for one in batch if one.seed not in trained.get(one.name, {})))
        if missing:
            return replay.decision(missing)
        replay.count(batch)
    return replay.decision(())


def entrants(contests: Mapping[str, Contest], budget: int) -> dict[str, Contest]:
    """Who enters: of each use case so many of the first finalists, with baselines on their encoders, as the budget has seeds for.

    First every use case gets a finalist and the first baseline on its encoder, as long as the whole budget allows it; then the
    other baselines there; then use case after use case gets a finalist more, within ENTRY of the budget, and the baseline on its
    encoder.
    """
    chosen: dict[str, Contest] = {}
    for use_case, contest in contests.items():
        one = {**chosen, use_case: contest.entering(1, all_baselines=False)}
        if contest.finalists and contest.baselines and _cost(one.values()) <= budget:
            chosen = one
    within, with_all = ENTRY * budget, set[str]()
    for use_case in chosen:
        more = {**chosen, use_case: contests[use_case].entering(1, all_baselines=True)}
        if _cost(more.values()) <= within:
            chosen = more
            with_all.add(use_case)
    grows = True
    while grows:
        grows = False
        for use_case, (finalists, *_) in chosen.items():
            wider = contests[use_case].entering(len(finalists) + 1, all_baselines=use_case in with_all)
            more = {**chosen, use_case: wider}
            if len(wider.finalists) > len(finalists) and _cost(more.values()) <= within:
                chosen, grows = more, True
    return chosen


def _cost(contests: Iterable[Contest]) -> int:
    """The most trainings that the first two rounds can take."""
    contests = list(contests)
    first = {name for contest in contests for name in contest.finalists}
    baselines = {name for contest in contests for name in contest.baselines}
    kept = min(len(first), sum(_half(len(contest.finalists)) for contest in contests))
    return len(first) + (LEAST - 1) * kept + LEAST * len(baselines)


def _half(count: int) -> int:
    return (count + 1) // 2


class _Replay:
    """The rounds from the first on. counted: how many of each configuration's trainings have counted so far."""

    def __init__(
        self, contests: Mapping[str, Contest], trained: Mapping[str, Mapping[int, bool]], budget: int, rank: Rank
    ) -> None:
        self.trained, self.budget, self.rank = trained, budget, rank
        self.asked, self.contests = contests, entrants(contests, budget)
        self.entered = {use_case: self.contests[use_case].finalists if use_case in self.contests else ()
                        for use_case in contests}  # fmt: skip
        self.baselines = {name for contest in contests.values() for name in contest.baselines}
        self.spent = 0
        self.counted: dict[str, int] = {}
        names = {name for finalists in self.entered.values() for name in finalists} | self.baselines
        for name in sorted(trained.keys() - names):
            # Of an earlier confirmation, or of `nrtune replicate`: with so many it may win, and so it may lead.
            ended = next((n for n in range(MOST + 1) if self._values(name, n) >= LEAST), None)
            if ended is not None:
                self.counted[name] = ended

    def rounds(self) -> Iterator[list[Training]]:
        """One batch after the other; each has counted before the next is asked for."""
        baselines = list(dict.fromkeys(name for contest in self.contests.values() for name in contest.baselines))
        finalists = list(dict.fromkeys(name for contest in self.contests.values() for name in contest.finalists))
        yield [Training(name, n) for name in baselines for n in range(LEAST)] + [
            Training(name, 0) for name in finalists
        ]
        kept = {use_case: self._better(use_case) for use_case in self.contests}
        yield [Training(name, n) for name in dict.fromkeys(itertools.chain(*kept.values())) for n in range(1, LEAST)]
        yield from self._settle()
        sizes = {use_case: len(names) for use_case, names in kept.items()}
        while True:
            sizes = {use_case: _half(size) for use_case, size in sizes.items()}
            if batch := self._one_more(sizes):
                yield batch
                yield from self._settle()
            elif max(sizes.values(), default=1) == 1:  # a smaller half may be within the budget
                return

    def count(self, batch: Sequence[Training]) -> None:
        """Let a batch count that has ended."""
        for name, seed in dict.fromkeys(batch):
            self.counted[name] = max(self.counted.get(name, 0), seed + 1)
            self.spent += 1

    def decision(self, missing: tuple[Training, ...]) -> Decision:
        """The state, and what is missing to go on."""
        leaders = {use_case: self._leader(use_case) for use_case in self.contests}
        return Decision(
            next=missing,
            entered=self.entered,
            baselines={use_case: tuple(self._baselines([use_case])) for use_case in self.contests},
            seeds={name: self._values(name, n) for name, n in self.counted.items()},
            leaders={use_case: name for use_case, name in leaders.items() if name is not None},
            spent=self.spent,
        )

    def _better(self, use_case: str) -> list[str]:
        """The better half of the finalists that entered; those without a value come last, in their order."""
        finalists = self.contests[use_case].finalists
        ranked = [name for name in self._ranked(use_case, 1) if name in finalists]
        return list(dict.fromkeys([*ranked, *finalists]))[: _half(len(finalists))]

    def _settle(self) -> Iterator[list[Training]]:
        """What failed is made up for, until each has enough or can't get it: leaders and baselines LEAST values.

        The search's own best needs one: those that were trained anew compete once it is among them.
        """
        while True:
            lacking = []
            for use_case, contest in self.contests.items():
                least = {contest.finalists[0]: 1} | dict.fromkeys(self._baselines([use_case]), LEAST)
                if (leader := self._leader(use_case)) is not None:
                    least[leader] = LEAST
                lacking += [
                    name
                    for name, values in least.items()
                    if self._values(name, self.counted.get(name, 0)) < values and self._may_go_on(name)
                ]
            batch = [Training(name, self.counted.get(name, 0)) for name in dict.fromkeys(lacking)]
            batch = batch[: max(0, self.budget - self.spent)]
            if not batch:
                return
            yield batch

    def _one_more(self, sizes: Mapping[str, int]) -> list[Training]:
        """A seed more for the best of each use case, and for its baselines to keep step; empty where no use case gets one."""
        batch: dict[Training, None] = {}
        for use_case, size in sizes.items():
            best = [name for name in self._ranked(use_case, LEAST)[:size] if self._may_go_on(name)]
            if not best:
                continue
            wanted = [Training(name, self.counted[name]) for name in best]
            highest = max(one.seed for one in wanted) + 1
            wanted += [
                Training(name, n)
                for name in self._baselines([use_case])
                if self._may_go_on(name)
                for n in range(self.counted.get(name, 0), highest)
            ]
            more = batch | dict.fromkeys(wanted)
            if len(more) <= self.budget - self.spent:
                batch = more
        return list(batch)

    def _leader(self, use_case: str) -> str | None:
        """Who would win now: the best of those with enough seeds to win, else of those with any, else the first finalist."""
        for least in (LEAST, 1):
            if ranked := self._ranked(use_case, least):
                return ranked[0]
        return next((name for name in self.contests[use_case].finalists if self._may_go_on(name)), None)

    def _ranked(self, use_case: str, least: int) -> list[str]:
        """All with so many values at least, best first."""
        counted = {name: n for name, n in self.counted.items()
                   if name in self.baselines or self._values(name, n) >= least}  # fmt: skip
        return [name for name in self.rank(use_case, counted) if name not in self.baselines]

    def _baselines(self, use_cases: Iterable[str]) -> list[str]:
        """Those that entered, and the first on the encoder of who leads: that may be one that was replicated before."""
        found: dict[str, None] = {}
        for use_case in use_cases:
            found |= dict.fromkeys(self.contests[use_case].baselines)
            if (leader := self._leader(use_case)) is not None:
                found |= dict.fromkeys(self.asked[use_case].compared_to(leader)[:1])
        return list(found)

    def _values(self, name: str, trainings: int) -> int:
        """How many of a configuration's first trainings gave a value."""
        return sum(self.trained.get(name, {}).get(n, False) for n in range(trainings))

    def _may_go_on(self, name: str) -> bool:
        counted = self.counted.get(name, 0)
        return counted < MOST and counted - self._values(name, counted) < MOST_FAILURES
