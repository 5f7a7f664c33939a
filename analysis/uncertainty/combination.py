"""Statistics of rows that are drawn together, of many trainings, and sums of means of them over elements."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.analysis.uncertainty.block_length import SHORTEST, along_positions, choose_length
from nrtune.analysis.uncertainty.bootstrap import (
    CHUNK_BYTES,
    Floats,
    Ints,
    even_parts,
    mean_samples,
    pearson_samples,
    spearman_samples,
)
from nrtune.analysis.uncertainty.influence import pearson_influence, spearman_influence
from nrtune.analysis.uncertainty.student import ignoring_nan
from nrtune.trainables.evaluation.metrics import pearson, spearman

KINDS = {"spearman": (spearman, spearman_samples), "pearson": (pearson, pearson_samples)}
MEAN = "mean"
_STATISTICS = {**KINDS, MEAN: (lambda rows, _: float(rows.mean()), mean_samples)}
_INFLUENCE = {"spearman": spearman_influence, "pearson": pearson_influence}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Term:
    """A statistic of M trainings on some rows.

    key: names it. kind: of _STATISTICS. trainings: M. predictions: gives those of some of them, (m, n). value: (n,). locus: that
    the rows are of. weight: in the mean that it is a part of. drawn_as: what is drawn together has this in common. blocks: the
    block of each row, (n,), and how many there are, by length, seed and `even` of `Part.blocks`. pos: (n,) positions; None where
    they are unknown.
    """

    key: str
    kind: str
    trainings: int
    predictions: Callable[[slice], Floats]
    value: Floats
    locus: str
    drawn_as: str
    blocks: Callable[..., tuple[Ints, int]]
    pos: Ints | None = None
    weight: float = 1.0

    @functools.cached_property
    def estimate(self) -> Floats:
        """The statistic (M,); NaN where it is undefined."""
        plain, _ = _STATISTICS[self.kind]
        return np.array([plain(row, self.value) for some in self._parts() for row in self.predictions(some)])

    def samples(self, block: Ints, counts: Floats, trainings: slice | None = None) -> Floats:
        """In each resample, (m, resamples) of some trainings, or all; NaN where it is undefined."""
        predictions = _Predictions(self, trainings or slice(0, self.trainings))
        return _STATISTICS[self.kind][1](predictions, self.value, block, counts)

    def influence(self, members: Ints) -> Floats:
        """What each row adds to the statistic of each configuration (C, n), of which M trainings are members."""
        of_members = np.concatenate(
            [_INFLUENCE[self.kind](self.predictions(some), self.value) / len(self.value) for some in self._parts()]
        )
        return np.stack([of_members[members == number].mean(axis=0) for number in range(int(members.max()) + 1)])

    def _parts(self) -> list[slice]:
        """Trainings whose predictions are held at a time."""
        parts = even_parts(self.trainings, CHUNK_BYTES // (16 * max(len(self.value), 1)))
        return [slice(some.start, some.stop) for some in parts]


class _Predictions:
    """A term's predictions (m, n) of some trainings, made as they are asked for."""

    def __init__(self, term: Term, trainings: slice) -> None:
        self.term, self.trainings = term, trainings

    def __len__(self) -> int:
        return int(self.trainings.stop - self.trainings.start)

    def __getitem__(self, some: slice) -> Floats:
        first, (start, stop, _) = self.trainings.start, some.indices(len(self))
        return self.term.predictions(slice(first + start, first + stop))


class Combination(NamedTuple):
    """A sum of means of terms, each mean with a sign. over_elements: whether what is undefined in a mean counts as 0."""

    means: tuple[tuple[int, tuple[Term, ...]], ...]
    over_elements: bool = False
    bound: float = 1.0
    chosen_by: tuple[tuple[int, tuple[Term, ...]], ...] = ()

    @property
    def terms(self) -> dict[str, Term]:
        """Every term, by its key."""
        return {term.key: term for _, terms in self.means for term in terms}

    @property
    def has_positions(self) -> bool:
        """Whether positions are drawn in blocks."""
        return all(term.pos is not None for term in self.terms.values())

    def estimate(self) -> Floats:
        """(M,); NaN where nothing is defined in one of several means: predicting nothing leaves no gap."""
        found = _sum(sign * self._mean([(t, t.estimate) for t in terms]) for sign, terms in self.means)
        if len(self.means) == 1:
            return found
        nothing = [np.isnan([term.estimate for term in terms]).all(axis=0) for _, terms in self.means]
        return np.where(np.any(nothing, axis=0), np.nan, found)

    def combine(self, samples: Mapping[str, Floats], defined: Mapping[str, NDArray[np.bool_] | None]) -> Floats:
        """(m, resamples), of the samples of each term; defined: `is_defined` of each, of all trainings together."""
        return _sum(sign * self._mean([(t, samples[t.key]) for t in terms], defined) for sign, terms in self.means)

    def is_defined(self, term: Term, samples: Floats, trainings: slice) -> NDArray[np.bool_] | None:
        """In which resamples (resamples,) a term has a value for any of some trainings; None where it never has."""
        known = np.isfinite(term.estimate[trainings])
        if not known.any():
            return None
        return np.asarray(np.isfinite(samples)[known].any(axis=0))

    def _mean(
        self, values: Sequence[tuple[Term, Floats]], in_any: Mapping[str, NDArray[np.bool_] | None] | None = None
    ) -> Floats:
        """What is undefined for a training counts as 0; a term of whose rows a resample holds too few for any, not at all."""
        if not self.over_elements:
            ((_, only),) = values
            return only
        total, weights = np.zeros_like(values[0][1]), np.zeros(values[0][1].shape[1:])
        for term, value in values:
            counts = None if in_any is None else in_any[term.key]
            total += term.weight * np.where(np.isfinite(value), value, 0.0)
            weights += term.weight * (1.0 if counts is None else counts)
        return total / np.where(weights > 0, weights, 1.0)

    def of_loci(self) -> Floats | None:
        """The same of each locus alone, (M, loci); None unless every mean is over the same loci, two or more."""
        loci = [tuple(dict.fromkeys(term.locus for term in terms)) for _, terms in self.means]
        if not self.over_elements or len(set(loci)) > 1 or len(loci[0]) < 2:
            return None
        found = []
        for locus in loci[0]:
            here = [(sign, [t for t in terms if t.locus == locus]) for sign, terms in self.means]
            found.append(_sum(sign * self._mean([(t, t.estimate) for t in terms]) for sign, terms in here))
        return np.stack(found, axis=1)

    def by_locus(self, samples: Mapping[str, Floats]) -> dict[str, Floats]:
        """What each locus adds to the samples of each term, (m, resamples); what is undefined adds nothing."""
        total: dict[str, Floats] = {}
        for sign, terms in self.means:
            for term in terms:
                part = sign * term.weight * np.nan_to_num(samples[term.key])
                total[term.locus] = part if term.locus not in total else total[term.locus] + part
        return total

    def freedom(self, variances: Mapping[str, Floats], blocks: Mapping[str, int]) -> float:
        """Satterthwaite's degrees of freedom of the variance due to blocks, over loci that are drawn apart.

        variances: of what each locus adds, (M,). blocks: how many are drawn of each.
        """
        variance = np.array([of.mean() for of in variances.values()])
        free = np.maximum(np.array([blocks[locus] for locus in variances]) - 1, 1)
        if not variance.sum() > 0:
            return float(free.sum())
        return float(variance.sum() ** 2 / (variance**2 / free).sum())

    def jackknife(self, without: Mapping[str, Floats], members: Ints) -> tuple[Floats, float]:
        """The variance of configurations' values (C,) that is due to blocks, whatever their seeds, and its degrees of freedom.

        without: each term (M, blocks) without each block; M trainings are members of configurations. It counts what a few
        long blocks make of a correlation better than resamples of them do: those find an error that is too small.
        """
        of_locus: dict[str, Floats] = {}
        for sign, terms in self.means:
            for term in terms:
                value = without[term.key]
                if self.over_elements:
                    value = np.where(np.isfinite(term.estimate)[:, None], value, 0.0)
                part = sign * term.weight * value
                of_locus[term.locus] = of_locus[term.locus] + part if term.locus in of_locus else part
        variances = np.stack([_jackknifed(part, members) for part in of_locus.values()])  # (loci, C)
        free = np.array([max(part.shape[1] - 1, 1) for part in of_locus.values()])
        mean = np.nan_to_num(variances).mean(axis=1)
        freedom = mean.sum() ** 2 / (mean**2 / free).sum() if mean.sum() > 0 else free.sum()
        return np.maximum(variances.sum(axis=0), 0), float(freedom)

    def block_lengths(self, members: Ints) -> tuple[int, int]:
        """Base pairs of the blocks that values, and that differences of configurations, of M members, are resampled in."""
        if not self.has_positions:
            return SHORTEST, SHORTEST
        of_locus: dict[str, list[tuple[Floats, Ints]]] = {}
        for sign, terms in self.chosen_by or self.means:
            for term in terms:
                assert term.pos is not None
                influence = sign * term.weight * term.influence(members)
                of_locus.setdefault(term.locus, []).append((influence, term.pos))
        series = [
            along_positions(
                np.concatenate([one for one, _ in parts], axis=1), np.concatenate([pos for _, pos in parts])
            )
            for parts in of_locus.values()
        ]
        values = choose_length(series)
        if len(series[0]) == 1:
            return values, values
        return values, choose_length([one - one.mean(axis=0) for one in series])


def _jackknifed(part: Floats, members: Ints) -> Floats:
    """The jackknife's variance (C,) of M members without each block, (M, blocks), less that of seeds on blocks."""
    blocks, found = part.shape[1], []
    for number in range(int(members.max()) + 1):
        own = part[members == number]
        centred = own - ignoring_nan(np.nanmean, own)[:, None]
        of_mean = (blocks - 1) / blocks * np.nansum(centred.mean(axis=0) ** 2)
        apart = (blocks - 1) / blocks * np.nansum((centred - centred.mean(axis=0)) ** 2, axis=1)
        found.append(of_mean - (apart.mean() / (len(own) - 1) if len(own) > 1 else 0.0))
    return np.array(found) if blocks > 1 else np.full(len(found), np.nan)


def _sum(parts: Iterable[Floats]) -> Floats:
    return functools.reduce(np.add, parts)
