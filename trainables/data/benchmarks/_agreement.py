"""What is found where Ref is not the reference's base, with what would explain it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.data.alleles import AGREEING, REACH, Explanation, agreeing, bases_at, explain, letters_of
from nrtune.trainables.data.findings import REF_DISAGREES, Finding, flagged
from nrtune.trainables.data.sequences import BASES, N_TOKEN

OUTSIDE_REFERENCE, REF_IS_ALT = "outside-reference", "ref-is-alt"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placed:
    """n variants of one element and part, laid on the reference that they should be of.

    where: for people. element: its name. pos: (n,) as given. ref, alt: (n,) alleles in upper case. offset: (n,) of them in
    `tokens`, (L,). known: (n,) whether the reference has the base at all. far: whether `tokens` is one sequence, so that
    positions may be off by any number. others: gives further explanations: in words, and the share of alleles that would agree.
    """

    where: str
    element: str
    pos: NDArray[np.int64]
    ref: Sequence[str]
    alt: Sequence[str]
    offset: NDArray[np.int64]
    tokens: NDArray[np.uint8]
    known: NDArray[np.bool_]
    far: bool = True
    others: Callable[[], Iterable[tuple[str, float]]] = tuple

    @classmethod
    def on(cls, reference: Mapping[str, Any], where: str, element: str, table: pd.DataFrame) -> Placed:
        """A table's variants, columns Pos, Ref and Alt, laid on one of `read_references`."""
        pos, tokens = table["Pos"].to_numpy(np.int64), reference["tokens"]
        offset = pos - reference["start"]
        return cls(
            where=where,
            element=element,
            pos=pos,
            ref=table["Ref"].tolist(),
            alt=table["Alt"].tolist(),
            offset=offset,
            tokens=tokens,
            known=(offset >= 0) & (offset < len(tokens)),
        )

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """Whether each ref is the reference's, (n,)."""
        return agreeing(letters_of(self.ref), self.offset, self.tokens)

    def explanation(self) -> Explanation | None:
        """What would make the alleles agree."""
        words, share = max(self.others(), key=lambda other: other[1], default=("", 0.0))
        found = explain(letters_of(self.ref), letters_of(self.alt), self.offset, self.tokens, far=self.far)
        count = round(share * len(self.pos))
        near = found is not None and found.sure and abs(found.shift) <= REACH
        if share < AGREEING or (found is not None and near and found.agreeing >= count):
            return found
        return Explanation(words, "give the positions and the reference of one assembly", count, sure=True)


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
        advice = why.advice if why is not None else "see which assembly the positions are of"
        found += flagged(
            disagreeing,
            REF_DISAGREES,
            "error" if bad else "note",
            _disagreement(one, why, few) if bad else "Ref is not the reference's base; the variants are kept",
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


def _disagreement(one: Placed, why: Explanation | None, few: bool) -> str:
    masked = one.known & (bases_at(one.tokens, one.offset) == N_TOKEN)
    if masked.sum() > (1 - AGREEING) * len(masked):
        return f"Ref is not the reference's base: the reference is masked, N at {int(masked.sum())} of them"
    if why is None:
        return (
            "Ref is not the reference's base, on either strand or at any shift; another sequence, or another assembly?"
        )
    return f"Ref is not the reference's base: {_because(one, why, few)}"


def _advice(one: Placed, why: Explanation | None) -> str:
    if why is None:
        return "give the reference that the positions are of"
    return f"{why.advice}{', and its start 1-based, too' if one.far and why.shift == -1 else ''}"


def _outside(why: Explanation | None, few: bool) -> str:
    said = "" if why is None else f": {why.words}{' (or by chance: there are few)' if few else ''}"
    return f"positions lie outside the reference; left out{said}"


def _because(one: Placed, why: Explanation, few: bool) -> str:
    if few:
        return f"perhaps {why.words}; mended, {why.agreeing} of {len(one.pos)} agree, but so few may do so by chance"
    return f"{why.words}; mended, {why.agreeing} of {len(one.pos)} agree"


def _example(one: Placed, row: int) -> str:
    return f"{one.pos[row]} {one.ref[row]}>{one.alt[row]}, where the reference has {BASES[bases_at(one.tokens, one.offset)[row]]}"


def _position(one: Placed, row: int) -> str:
    return f"position {one.pos[row]}"
