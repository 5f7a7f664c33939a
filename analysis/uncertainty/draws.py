"""Samples of a metric of many configurations, some of them at a time: nothing is held that grows with trainings × resamples."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nrtune.analysis.uncertainty.bootstrap import Floats, Ints, draw_counts, even_parts
from nrtune.analysis.uncertainty.combination import Combination, Term
from nrtune.analysis.uncertainty.student import Chunk
from nrtune.trainables.core.randomness import derive_generator

CHUNK_BYTES, MOST_IN_CHUNK, FEWEST_IN_CHUNK = 32 << 20, 256, 128
"""Memory of the samples of a chunk's configurations, as far as that is no fewer: matrix products of few rows are slow."""

HELD_BYTES = 128 << 20
"""Memory of samples that are kept to be used again; what has no room is computed again."""


class How(Protocol):
    """What of `Resampling` is needed here."""

    @property
    def resamples(self) -> int:
        """How many."""

    @property
    def block(self) -> int | None:
        """Base pairs of a block; None where they were chosen from the data."""

    @property
    def seed(self) -> int:
        """What everything drawn follows from."""


class HeldSamples:
    """Samples that were computed, up to HELD_BYTES: the latest metric's push out those of others, none its own."""

    def __init__(self) -> None:
        self._found: dict[object, tuple[Floats, object]] = {}
        self._owners = itertools.count()
        self.bytes = 0

    def owner(self) -> int:
        """A number for whoever has samples of its own here."""
        return next(self._owners)

    def get(self, key: object, metric: object, make: Callable[[], Floats]) -> Floats:
        """Samples by their key, made now if they are not here. metric: for which they are asked."""
        if key in self._found:
            samples, _ = self._found.pop(key)
            self._found[key] = samples, metric
            return samples
        samples = make()
        for other in [key for key, (_, of) in self._found.items() if of != metric]:
            if self.bytes + samples.nbytes <= HELD_BYTES:
                break
            self.bytes -= self._found.pop(other)[0].nbytes
        if self.bytes + samples.nbytes <= HELD_BYTES:
            self._found[key] = samples, metric
            self.bytes += samples.nbytes
        return samples


class Draws:
    """Draws blocks of a length for a metric of configurations, whose trainings lie one after the other, by their seeds.

    Iterated over, it gives chunks of configurations. owner: of samples that are held. step: is told how many parts of how many
    are computed.
    """

    def __init__(
        self,
        statistic: Combination,
        length: int,
        seeds: Sequence[tuple[int, ...]],
        how: How,
        held: HeldSamples,
        owner: int,
        step: Callable[[int, int], None],
    ) -> None:
        self._statistic, self._length, self._seeds, self._how = statistic, length, tuple(seeds), how
        self._held, self._owner, self._step = held, owner, step
        self._metric = object()
        self._first = np.concatenate([[0], np.cumsum([len(of) for of in seeds])]).astype(int)  # training of each
        most = CHUNK_BYTES // (8 * how.resamples * len(statistic.terms))
        self._parts = even_parts(len(seeds), int(np.clip(most, FEWEST_IN_CHUNK, MOST_IN_CHUNK)))
        self._blocks: dict[str, tuple[Ints, int]] = {
            key: term.blocks(length, how.seed, even=how.block is None) for key, term in statistic.terms.items()
        }
        self._counts: dict[tuple[str, int], Floats] = {}
        self._defined: dict[str, NDArray[np.bool_] | None] | None = None
        self._mean: dict[str, Floats] = {}
        self._freedom: float | None = None

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance due to blocks: of what trainings differ by, or of the value of the only one."""
        if self._freedom is None:
            for _ in self:
                pass
            assert self._freedom is not None
        return self._freedom

    def __iter__(self) -> Iterator[Chunk]:
        if self._defined is None:
            self._survey()
        variances: dict[str, list[Floats]] = {}
        for part in self._parts:
            samples = self._samples(part, 1)
            if self._freedom is None:
                for locus, of in self._statistic.by_locus(samples).items():
                    centred = of - self._mean[locus] if locus in self._mean else of
                    variances.setdefault(locus, []).append(np.var(centred, axis=1))
            yield self._chunk(part, samples)
        self._counts.clear()
        if self._freedom is None:
            found = {locus: np.concatenate(of) for locus, of in variances.items()}
            blocks = {term.locus: self._blocks[key][1] for key, term in self._statistic.terms.items()}
            self._freedom = self._statistic.freedom(found, blocks)

    def only(self, numbers: Sequence[int]) -> dict[int, Chunk]:
        """Single configurations, by their numbers."""
        if self._defined is None:
            self._survey()
        found: dict[int, Chunk] = {}
        for part in self._parts:
            if here := [number for number in numbers if number in part]:
                chunk = self._chunk(part, self._samples(part))
                found |= {number: chunk.only(number) for number in here}
        return found

    def _survey(self) -> None:
        """What all trainings together tell: in which resamples a term is defined for any, and what a locus adds on average."""
        total: dict[str, Floats] = {}
        defined: dict[str, NDArray[np.bool_] | None] = dict.fromkeys(self._statistic.terms)
        for part in self._parts:
            samples = self._samples(part, 0)
            for key, term in self._statistic.terms.items():
                here, before = self._statistic.is_defined(term, samples[key], self._trainings(part)), defined[key]
                defined[key] = here if before is None else before if here is None else before | here
            for locus, of in self._statistic.by_locus(samples).items():
                # Row after row, as a sum over all at once adds them.
                total[locus] = np.add.reduce(np.concatenate([total[locus][None], of]) if locus in total else of, axis=0)
        self._defined = defined
        trainings = int(self._first[-1])
        self._mean = {locus: of / trainings for locus, of in total.items()} if trainings > 1 else {}

    def _trainings(self, part: range) -> slice:
        return slice(int(self._first[part.start]), int(self._first[part.stop]))

    def _samples(self, part: range, passed: int | None = None) -> dict[str, Floats]:
        """Each term's, (m, resamples), of some configurations' trainings; passed: how often all were computed, if all are."""
        found: dict[str, Floats] = {}
        terms = self._statistic.terms
        before = ((passed or 0) * len(self._parts) + self._parts.index(part)) * len(terms)
        for number, (key, term) in enumerate(terms.items()):
            found[key] = self._held.get(
                (self._owner, key, self._length, part),
                self._metric,
                lambda key=key, term=term: self._of_term(key, term, part),  # type: ignore[misc]
            )
            if passed is not None:
                self._step(before + number + 1, 2 * len(self._parts) * len(terms))
        return found

    def _of_term(self, key: str, term: Term, part: range) -> Floats:
        block, blocks = self._blocks[key]
        if (drawn := (term.drawn_as, blocks)) not in self._counts:
            generator = derive_generator(self._how.seed, "resample", *drawn)
            self._counts[drawn] = draw_counts(blocks, self._how.resamples, generator)
        return term.samples(block, self._counts[drawn], self._trainings(part))

    def _chunk(self, part: range, samples: Mapping[str, Floats]) -> Chunk:
        assert self._defined is not None
        drawn = self._statistic.combine(samples, self._defined)
        start = int(self._first[part.start])
        split = [drawn[self._first[n] - start : self._first[n + 1] - start] for n in part]
        return Chunk(
            part,
            np.stack([self._over_seeds(self._seeds[n], of) for n, of in zip(part, split, strict=True)]),
            np.stack([of.mean(axis=0) for of in split]),
            tuple(_apart(of) for of in split),
        )

    def _over_seeds(self, seeds: tuple[int, ...], drawn: Floats) -> Floats:
        """A configuration's samples (resamples,): means over replicates drawn anew in each, one fewer than there are."""
        if len(seeds) == 1:
            only: Floats = drawn[0]
            return only
        generator = derive_generator(self._how.seed, "replicates", *seeds)
        weights = draw_counts(len(seeds), self._how.resamples, generator) / (len(seeds) - 1)
        mean: Floats = np.einsum("br,rb->b", weights, drawn)
        return mean


def _apart(samples: Floats) -> Floats:
    """By how far the samples (seeds, resamples) of each seed lie from their mean; of a single one nothing is kept."""
    return samples - samples.mean(axis=0) if len(samples) > 1 else np.empty((1, 0))
