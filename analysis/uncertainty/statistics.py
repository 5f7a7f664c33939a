"""Metrics as what they are: correlations of rows that are drawn together, and means of them over elements."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nrtune.analysis.uncertainty.block_length import SHORTEST, along_positions, choose_length
from nrtune.analysis.uncertainty.bootstrap import Floats, Ints, mean_samples, pearson_samples, spearman_samples
from nrtune.analysis.uncertainty.influence import pearson_influence, spearman_influence
from nrtune.analysis.uncertainty.scored_rows import Part, Rows, dealt
from nrtune.analysis.uncertainty.student import ignoring_nan
from nrtune.trainables.data.loci import locus_weights
from nrtune.trainables.evaluation.metrics import MIN_STRATUM, pearson, spearman

KINDS = {"spearman": (spearman, spearman_samples), "pearson": (pearson, pearson_samples)}
MEAN = "mean"
_STATISTICS = {**KINDS, MEAN: (lambda rows, _: float(rows.mean()), mean_samples)}
_INFLUENCE = {"spearman": spearman_influence, "pearson": pearson_influence}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Term:
    """A statistic of M trainings on some rows.

    key: names it. kind: of _STATISTICS. predictions, value: (M, n) and (n,). locus: that the rows are of. weight: in the mean
    that it is a part of. drawn_as: what is drawn together has this in common. blocks: the block of each row, (n,), and how many
    there are, by length, seed and `even` of `Part.blocks`. pos: (n,) positions; None where they are unknown.
    """

    key: str
    kind: str
    predictions: Floats
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
        return np.array([plain(prediction, self.value) for prediction in self.predictions])

    def samples(self, block: Ints, counts: Floats) -> Floats:
        """In each resample, (M, resamples); NaN where it is undefined."""
        return _STATISTICS[self.kind][1](self.predictions, self.value, block, counts)

    def influence(self, members: Ints) -> Floats:
        """What each row adds to the statistic of each configuration (C, n), of which M trainings are members."""
        of_members = _INFLUENCE[self.kind](self.predictions, self.value) / len(self.value)
        return np.stack([of_members[members == number].mean(axis=0) for number in range(int(members.max()) + 1)])


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

    def combine(self, samples: Mapping[str, Floats]) -> Floats:
        """(M, resamples), of the samples of each term."""
        return _sum(sign * self._mean([(t, samples[t.key]) for t in terms]) for sign, terms in self.means)

    def _mean(self, values: Sequence[tuple[Term, Floats]]) -> Floats:
        """What is undefined for a training counts as 0; a term of whose rows a resample holds too few for any, not at all."""
        if not self.over_elements:
            ((_, only),) = values
            return only
        total, weights = np.zeros_like(values[0][1]), np.zeros(values[0][1].shape[1:])
        for term, value in values:
            defined, known = np.isfinite(value), np.isfinite(term.estimate)
            total += term.weight * np.where(defined, value, 0.0)
            weights += term.weight * (defined[known].any(axis=0) if value.ndim > 1 and known.any() else 1.0)
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

    def freedom(self, drawn: Mapping[str, tuple[Floats, int]], *, centred: bool) -> float:
        """Satterthwaite's degrees of freedom of the variance due to blocks, over loci that are drawn apart.

        drawn: each term's samples (M, resamples) and blocks. centred: of what trainings differ by.
        """
        total: dict[str, Floats] = {}
        blocks: dict[str, int] = {}
        for sign, terms in self.means:
            for term in terms:
                samples, blocks[term.locus] = drawn[term.key]
                part = sign * term.weight * np.nan_to_num(samples)
                total[term.locus] = part if term.locus not in total else total[term.locus] + part
        variance = np.array(
            [np.var(one - one.mean(axis=0) if centred else one, axis=1).mean() for one in total.values()]
        )
        free = np.maximum(np.array(list(blocks.values())) - 1, 1)
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


def statistic_of(name: str, tests: Mapping[str, Rows | None], parts: Mapping[str, Part]) -> Combination | None:
    """A metric by its full name; None where the predictions do not tell it."""
    rows = tests["prediction"]
    match name.split("/"):
        case ["test", kind] if kind in KINDS and rows is not None:
            return _of_test(kind, rows, rows.predictions, "activity")
        case ["test", "mse"] if rows is not None:
            squares = (rows.predictions - rows.table["activity"].to_numpy(np.float64)) ** 2
            return _of_test(MEAN, rows, squares, "activity")._replace(bound=math.inf)
        case ["noise", "corr" | "corr_calibrated" as which]:
            rows = tests["prediction" if which == "corr" else "calibrated_prediction"]
            if rows is None or "aleatoric_std" not in rows.table:
                return None
            errors = np.abs(rows.predictions - rows.table["activity"].to_numpy(np.float64))
            return _of_test("pearson", rows, errors, "aleatoric_std")
        case [*prefix, "hc_lc_gap"]:
            of = [_of_variants(parts, "/".join(prefix), "spearman", stratum, MEAN) for stratum in ("hc", "lc")]
            high, low = of
            if high is None or low is None:
                return None
            return Combination((*high.means, *((-sign, terms) for sign, terms in low.means)), True, 2.0)
        case [*prefix, kind, stratum, element] if kind in KINDS:
            return _of_variants(parts, "/".join(prefix), kind, stratum, element)
    return None


def _of_test(kind: str, rows: Rows, predictions: Floats, column: str) -> Combination:
    value = rows.table[column].to_numpy(np.float64)
    cluster = rows.table["cluster"].to_numpy(np.int64) if "cluster" in rows.table else np.arange(len(value))

    def blocks(length: int, seed: int, *, even: bool) -> tuple[Ints, int]:
        block = dealt(cluster, seed, "test")
        return block, int(block.max()) + 1

    term = Term(
        key=f"test/{kind}/{column}", kind=kind, predictions=predictions, value=value, locus="test", drawn_as="test",
        blocks=blocks,
    )  # fmt: skip
    return Combination(((1, (term,)),))


def _of_variants(parts: Mapping[str, Part], prefix: str, kind: str, stratum: str, element: str) -> Combination | None:
    """An element, or the mean over the matched ones that have enough variants."""
    part = parts.get(prefix)
    if part is None or stratum not in part.strata:
        return None
    enough = [e for e in part.matched if _enough(part, stratum, e)]
    weights = locus_weights(enough, part.loci)
    mean = tuple(_term(part, prefix, kind, stratum, e, weight) for e, weight in weights.items())
    if element == MEAN:
        return Combination(((1, mean),), over_elements=True) if mean else None
    if not _enough(part, stratum, element):
        return None
    term = _term(part, prefix, kind, stratum, element, 1.0)
    # One element alone tells too little of how far neighbours are alike.
    return Combination(((1, (term,)),), chosen_by=((1, mean),) if element in weights else ())


def _enough(part: Part, stratum: str, element: str) -> bool:
    return int((part.strata[stratum] & (part.table["element"] == element).to_numpy()).sum()) >= MIN_STRATUM


def _term(part: Part, prefix: str, kind: str, stratum: str, element: str, weight: float) -> Term:
    of_element = (part.table["element"] == element).to_numpy()
    chosen = part.strata[stratum][of_element]
    rows = np.flatnonzero(of_element)[chosen]
    locus = part.loci.get(element, element)

    def blocks(length: int, seed: int, *, even: bool) -> tuple[Ints, int]:
        block, count = part.blocks(element, length, seed, even=even)
        return block[chosen], count

    return Term(
        key=f"{prefix}/{kind}/{stratum}/{element}",
        kind=kind,
        predictions=part.predictions[:, rows],
        value=part.table["value"].to_numpy(np.float64)[rows],
        locus=locus,
        drawn_as=f"{part.name}/{locus}",
        blocks=blocks,
        pos=part.positions(element)[chosen] if part.has_positions else None,
        weight=weight,
    )
