"""What is found in the variants of a benchmark."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import quoted
from nrtune.trainables.data.alleles import AGREEING
from nrtune.trainables.data.benchmarks import ALT, REF, VariantSet
from nrtune.trainables.data.benchmarks._agreement import REF_IS_ALT
from nrtune.trainables.data.benchmarks._columns import VARIANT_TWICE
from nrtune.trainables.data.findings import REF_DISAGREES, Finding, Severity, flagged

MIN_STRATUM = 11
"""Variants of which a correlation is made; `metrics.MIN_STRATUM`, which a test compares, lies in a room above."""


def audit_variants(variants: VariantSet) -> list[Finding]:
    """What makes a benchmark's scores mean something else than they seem to, beside what its reader found.

    Of any variants: measured twice, in two parts, or without an allele; refs that are not the reference's where the reader has
    not looked; values, standard errors and confidences that are none; strata of too few variants to be scored.
    """
    if not len(variants):
        return []
    return [
        *_disagreeing(variants),
        *_equal_alleles(variants),
        *_twice(variants),
        *_in_two_parts(variants),
        *_confidence(variants),
        *_values(variants),
        *_small_strata(variants),
    ]


def _names(variants: VariantSet) -> NDArray[np.str_]:
    return np.array(variants.elements)[variants.element]


def _said(variants: VariantSet, row: int) -> str:
    """One variant, for people."""
    name = variants.elements[variants.element[row]]
    if variants.ref[row] == REF and variants.alt[row] == ALT:
        return f"{name}, sequence {variants.pos[row]}"
    return f"{name} {variants.pos[row]} {quoted(variants.ref[row], 20)}>{quoted(variants.alt[row], 20)}"


def _found(
    variants: VariantSet,
    id: str,
    severity: Severity,
    what: str,
    flags: NDArray[np.bool_],
    advice: str,
    element: str = "",
) -> list[Finding]:
    """One finding of the variants that are flagged, (V,); none where none is."""
    of_element = variants.element == variants.elements.index(element) if element else np.ones(len(variants), bool)
    return flagged(
        flags,
        id,
        severity,
        what,
        where=f"{variants.name}, {element}" if element else variants.name,
        of=int(of_element.sum()),
        example=functools.partial(_said, variants),
        advice=advice,
    )


def _disagreeing(variants: VariantSet) -> list[Finding]:
    """Elements whose refs are not the reference's, where the reader has said nothing of it."""
    if any(finding.id == REF_DISAGREES for finding in variants.findings):
        return []
    found = []
    for number, name in enumerate(variants.elements):
        here = variants.element == number
        flags = variants.ref_mismatch & here
        bad = flags.sum() > (1 - AGREEING) * here.sum()
        what = "Ref is not the reference's base" + ("" if bad else "; the variants are kept")
        advice = "see which assembly and strand the variants are of, and whether positions are 1-based" if bad else ""
        found += _found(variants, REF_DISAGREES, "error" if bad else "note", what, flags, advice, name)
    return found


def _equal_alleles(variants: VariantSet) -> list[Finding]:
    """Variants that are none: of one allele, or of sequences that do not differ."""
    of_sequences = (variants.ref == REF) & (variants.alt == ALT)
    same = ((variants.ref == variants.alt) | of_sequences) & (variants.ref_window == variants.alt_window)
    return _found(
        variants, REF_IS_ALT, "error", "Ref and Alt are the same, which is no variant", same, "remove the rows"
    )


def _keys(variants: VariantSet) -> pd.DataFrame:
    """What tells one variant from another, a row each: by its place and alleles, or by its sequences."""
    if ((variants.ref == REF) & (variants.alt == ALT)).all():
        return pd.DataFrame({"ref": variants.ref_window, "alt": variants.alt_window})
    known = (variants.chrom != "").all()
    place = variants.chrom if known else _names(variants)
    table = pd.DataFrame({"place": place, "pos": variants.pos, "ref": variants.ref, "alt": variants.alt})
    if variants.identity is not None:
        return table[["place", "pos"]].assign(identity=variants.identity)
    if (variants.ref == variants.alt).any():  # alleles of which only the windows are known
        table = table.assign(ref_window=variants.ref_window, alt_window=variants.alt_window)
    return table


def _whole_keys(variants: VariantSet) -> pd.DataFrame:
    """As of `_keys`, without positions where these may differ."""
    table = _keys(variants)
    return table[["identity"]] if "identity" in table else table


def _twice(variants: VariantSet) -> list[Finding]:
    """Variants that one part of an element has twice: with another value, or with the same."""
    table = _whole_keys(variants).assign(element=variants.element, part=variants.part)
    again = table.duplicated(keep=False).to_numpy(bool)
    if not again.any():
        return []
    values = table.assign(value=variants.value).groupby(list(table.columns), sort=False)["value"]
    other = again & (values.transform("nunique") > 1).to_numpy(bool)
    return [
        *_found(
            variants, VARIANT_TWICE, "error", "a variant has two values or more", other, "keep one row a variant, or the mean"
        ),
        *_found(
            variants, VARIANT_TWICE, "warning", "a variant is there twice with one value, and counts twice", again & ~other,
            "keep one row a variant",
        ),
    ]  # fmt: skip


def _in_two_parts(variants: VariantSet) -> list[Finding]:
    """Variants, and positions, of which one part may be selected on and another is reported on."""
    if len(np.unique(variants.part)) < 2:
        return []
    table = _keys(variants)
    parts = " and ".join(variants.called(part) for part in variants.parts)
    shared = _of_several(_whole_keys(variants), variants.part)
    found = _found(
        variants, "parts-share-variants", "error", f"variants stand in {parts}: what is selected on is reported on, too", shared,
        "keep each variant in one of them",
    )  # fmt: skip
    if "pos" in table:
        places = _of_several(table[["place", "pos"]], variants.part) & ~shared
        found += _found(
            variants, "parts-share-positions", "warning", f"positions, with other alleles, stand in {parts}", places,
            "keep the alleles of one position in one part: their effects are alike",
        )  # fmt: skip
    return found


def _of_several(table: pd.DataFrame, part: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(V,) which rows stand in more than one part."""
    several = table.assign(part=part).groupby(list(table.columns), sort=False)["part"].transform("nunique") > 1
    return several.to_numpy(bool)


def _confidence(variants: VariantSet) -> list[Finding]:
    confidence = variants.columns.get("confidence")
    if confidence is None or not np.issubdtype(np.asarray(confidence).dtype, np.number):
        return []
    numbers = np.asarray(confidence, np.float64)
    known = np.isfinite(numbers)
    outside = known & ~((numbers >= 0) & (numbers <= 1))
    highest = numbers[known].max(initial=0)
    percent = ": percent?" if 1 < highest <= 100 and numbers[known].min(initial=0) >= 0 else ""
    what = f"confidences are not between 0 and 1, the highest is {highest:g}{percent}"
    return _found(
        variants, "confidence-range", "error", what, outside, "give them between 0 and 1: high is 0.1 or more"
    )


def _values(variants: VariantSet) -> list[Finding]:
    """Values that are no numbers, and elements that have one value for all."""
    missing = ~np.isfinite(variants.value)
    found = _found(variants, "value-missing", "error", "values are no finite numbers", missing, "remove the rows")
    for part, element, rows in variants.groups():
        if len(rows) >= MIN_STRATUM and len(np.unique(variants.value[rows])) == 1:
            flags = np.zeros(len(variants), bool)
            flags[rows] = True
            what = f"all values{f' of {part}' if part else ''} are {variants.value[rows[0]]:g}: nothing correlates with them"
            found += _found(variants, "value-constant", "warning", what, flags, "give measured effects", element)
    return found


def _small_strata(variants: VariantSet) -> list[Finding]:
    """Strata of elements that means are over, of too few variants to be scored, or selected on; a warning where it is all."""
    found = []
    for stratum, members in variants.in_strata().items():
        for part, element, rows in variants.groups():
            n = int(members[rows].sum())
            if element not in variants.matched or n >= MIN_STRATUM:
                continue
            of = "variants" if stratum == "all" else f"{stratum.upper()} variants"
            of = f"{part} {of}" if part else of
            then = "selected on, or scored" if part in variants.selectable else "scored"
            found.append(
                Finding(
                    id="small-stratum",
                    severity="warning" if stratum == "all" else "note",
                    what=f"too few {of} to be {then}: it takes {MIN_STRATUM} or more",
                    where=f"{variants.name}, {element}",
                    count=n,
                    of=len(rows),
                )
            )
    return found
