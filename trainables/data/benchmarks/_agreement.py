"""What is found where Ref is not the reference's base, with what would explain it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.core.errors import quoted
from nrtune.trainables.data.alleles import AGREEING, Explanation, agreeing, bases_at, letters_of
from nrtune.trainables.data.findings import REF_DISAGREES, Finding, flagged, row_of
from nrtune.trainables.data.placed import Placed
from nrtune.trainables.data.sequences import BASES
from nrtune.trainables.data.tables import NOTHING

OUTSIDE_REFERENCE, REF_IS_ALT = "outside-reference", "ref-is-alt"


def other_sequences(one: Placed, name: str, references: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """In words, each other reference than a name's, and the share of alleles that are its: with its own start, or the name's."""
    letters, start = letters_of(one.ref), int(references[name]["start"])
    for other, theirs in references.items():
        for first in (start, int(theirs["start"])) if other != name else ():
            flags = agreeing(letters, one.pos - first, theirs["tokens"])
            yield f"they are those of {other}'s sequence", float(flags.mean())


def agreement_findings(groups: Sequence[Placed]) -> list[Finding]:
    """What is found of all elements' alleles: refs that are not the reference's, many or a few, and places that it lacks."""
    explained = {number: one.explanation() for number, one in enumerate(groups) if _share(one) < AGREEING}
    sure = {found.words for found in explained.values() if found is not None and found.sure}
    found: list[Finding] = []
    for number, one in enumerate(groups):
        agrees, inside = one.agrees, one.known
        why = explained.get(number)
        few = why is not None and not why.sure and why.words not in sure
        disagreeing = inside & ~agrees
        bad = agrees.sum() < AGREEING * inside.sum()
        advice = one.advice(why, "see which assembly the positions are of")
        found += flagged(
            disagreeing,
            REF_DISAGREES,
            "error" if bad else "note",
            "Ref is not the reference's base" + (one.why(why, few=few) if bad else "; the variants are kept"),
            where=one.where,
            of=int(inside.sum()),
            example=functools.partial(_example, one),
            advice=advice if bad else "",
        )
        found += flagged(
            ~inside,
            OUTSIDE_REFERENCE,
            "error",
            _outside(why, few),
            where=one.where,
            example=functools.partial(_position, one),
            advice=_advice(one, why),
        )
    return found


def of_chrom(where: str, table: pd.DataFrame, reference: Mapping[str, Any]) -> list[Finding]:
    """What is found where the variants of a table, column Chrom, lie on another chromosome than their reference."""
    there = table["Chrom"].map(_bare)
    other = ((there != _bare(str(reference["chrom"]))) & ~there.isin(NOTHING)).to_numpy(bool)
    named = quoted(table["Chrom"].iloc[int(other.argmax())]) if other.any() else ""
    return flagged(
        other,
        "chrom-disagrees",
        "warning",
        f"variants lie on chromosome {named}, their reference on {quoted(reference['chrom'])}",
        where=where,
        example=lambda row: row_of(int(table.index[row])),
        advice="give one element's of both",
    )


def _bare(chrom: str) -> str:
    """A chromosome without chr, nor the .0 of one that was once read as a number; MT is M."""
    bare = chrom.lower().removeprefix("chr").removesuffix(".0")
    return "m" if bare == "mt" else bare


def ref_is_alt(where: str, same: NDArray[np.bool_], example: str) -> list[Finding]:
    """What is found of (n,) variants whose Ref and Alt are the same, which readers leave out. example: the first of them."""
    return flagged(
        same,
        REF_IS_ALT,
        "error",
        "Ref and Alt are the same, which is no variant; left out",
        where=where,
        example=lambda _: example,
        advice="give the allele that was measured, or remove the rows",
    )


def _share(one: Placed) -> float:
    return float(one.agrees.mean()) if len(one.pos) else 1.0


def _advice(one: Placed, why: Explanation | None) -> str:
    if why is None:
        return "give the reference that the positions are of"
    return f"{why.advice}{', and its start 1-based, too' if one.far and why.shift == -1 else ''}"


def _outside(why: Explanation | None, few: bool) -> str:
    said = "" if why is None else f": {why.words}{' (or by chance: there are few)' if few else ''}"
    return f"positions lie outside the reference; left out{said}"


def _example(one: Placed, row: int) -> str:
    there = BASES[bases_at(one.tokens, one.offset)[row]]
    return f"{one.pos[row]} {quoted(one.ref[row], 20)}>{quoted(one.alt[row], 20)}, where the reference has {there}"


def _position(one: Placed, row: int) -> str:
    return f"position {one.pos[row]}"
