"""Metrics as what they are: correlations of rows that are drawn together, and means of them over elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from nrtune.analysis.uncertainty.bootstrap import Floats, Ints
from nrtune.analysis.uncertainty.combination import KINDS, MEAN, Combination, Term
from nrtune.analysis.uncertainty.scored_rows import Part, Rows, dealt
from nrtune.trainables.data.loci import locus_weights
from nrtune.trainables.evaluation.metrics import MIN_STRATUM


def statistic_of(name: str, tests: Mapping[str, Rows | None], parts: Mapping[str, Part]) -> Combination | None:
    """A metric by its full name; None where the predictions do not tell it."""
    rows = tests["prediction"]
    match name.split("/"):
        case ["test", kind] if kind in KINDS and rows is not None:
            return _of_test(name, kind, rows, _themselves, "activity")
        case ["test", "mse"] if rows is not None:
            return _of_test(name, MEAN, rows, _squares, "activity")._replace(bound=math.inf)
        case ["noise", "corr" | "corr_calibrated" as which]:
            rows = tests["prediction" if which == "corr" else "calibrated_prediction"]
            if rows is None or "aleatoric_std" not in rows.table:
                return None
            return _of_test(name, "pearson", rows, _sizes, "aleatoric_std")
        case [*prefix, "hc_lc_gap"]:
            of = [_of_variants(parts, "/".join(prefix), "spearman", stratum, MEAN) for stratum in ("hc", "lc")]
            high, low = of
            if high is None or low is None:
                return None
            return Combination((*high.means, *((-sign, terms) for sign, terms in low.means)), True, 2.0)
        case [*prefix, kind, stratum, element] if kind in KINDS:
            return _of_variants(parts, "/".join(prefix), kind, stratum, element)
    return None


def _themselves(predictions: Floats, activity: Floats) -> Floats:
    return predictions


def _squares(predictions: Floats, activity: Floats) -> Floats:
    """Of errors."""
    return (predictions - activity) ** 2


def _sizes(predictions: Floats, activity: Floats) -> Floats:
    """Of errors."""
    return np.abs(predictions - activity)


def _of_test(name: str, kind: str, rows: Rows, made: Callable[[Floats, Floats], Floats], column: str) -> Combination:
    """A metric by its name: a statistic of what is made of predictions and activities, against a column of the test rows."""
    value, activity = (rows.table[of].to_numpy(np.float64) for of in (column, "activity"))
    cluster = rows.table["cluster"].to_numpy(np.int64) if "cluster" in rows.table else np.arange(len(value))

    def blocks(length: int, seed: int, *, even: bool) -> tuple[Ints, int]:
        block = dealt(cluster, seed, "test")
        return block, int(block.max()) + 1

    term = Term(
        key=name,
        kind=kind,
        trainings=len(rows.predictions),
        predictions=lambda some: made(rows.predictions[some].astype(np.float64), activity),
        value=value,
        locus="test",
        drawn_as="test",
        blocks=blocks,
    )
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
        trainings=len(part.predictions),
        predictions=lambda some: part.predictions[some][:, rows].astype(np.float64),
        value=part.table["value"].to_numpy(np.float64)[rows],
        locus=locus,
        drawn_as=f"{part.name}/{locus}",
        blocks=blocks,
        pos=part.positions(element)[chosen] if part.has_positions else None,
        weight=weight,
    )
