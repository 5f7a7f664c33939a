"""Alleles laid on the reference that they should be of: whether they agree with it, and if not, why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrtune.trainables.data.alleles import AGREEING, REACH, Explanation, agreeing, bases_at, explain, letters_of
from nrtune.trainables.data.genome import Genome
from nrtune.trainables.data.sequences import N_TOKEN, reverse_complement
from nrtune.trainables.data.variant_windows import bases_to_tokens

_FEW = 10
"""Alleles that may all agree with a sequence turned round by chance: 1 in 4**10."""


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

    @classmethod
    def in_genome(
        cls,
        genome: Genome,
        where: str,
        element: str,
        places: Sequence[tuple[str, int]],
        ref: Sequence[str],
        alt: Sequence[str],
    ) -> Placed:
        """Alleles at n places of a genome, contig and position (1-based), each with REACH bases around it. Raises UserError."""
        around = np.full((len(places), 2 * REACH + max(map(len, (*ref, *alt)), default=1)), N_TOKEN, np.uint8)
        known = np.zeros(len(places), bool)
        for row, (contig, pos) in enumerate(places):
            known[row] = 0 < pos <= (genome.length(contig) or 0) - len(ref[row]) + 1
            _fill(around[row], genome, contig, pos - 1 - REACH)
        return cls(
            where=where,
            element=element,
            pos=np.array([pos for _, pos in places], np.int64),
            ref=ref,
            alt=alt,
            offset=np.arange(len(places)) * around.shape[1] + REACH,
            tokens=around.ravel(),
            known=known,
            far=False,
        )

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Where the reference has the place, but N there, (n,)."""
        return np.asarray(self.known & (bases_at(self.tokens, self.offset) == N_TOKEN), np.bool_)

    @property
    def mostly_masked(self) -> bool:
        """Whether that is why too few agree."""
        return bool(self.masked.sum() > (1 - AGREEING) * len(self.pos))

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """Whether each ref is the reference's, (n,)."""
        return agreeing(letters_of(self.ref), self.offset, self.tokens)

    def explanation(self) -> Explanation | None:
        """What would make the alleles agree."""
        agrees, known = self.agrees, self.known
        if self.far:
            turned = agreeing(letters_of(self.ref), self.offset, reverse_complement(self.tokens))
            if turned.sum() >= max(AGREEING * len(turned), agrees.sum() + 1):
                words = "the reference is the other strand's, while positions are of the one"
                return Explanation(
                    words, "give the sequence of the + strand", int(turned.sum()), sure=len(turned) > _FEW
                )
        words, share = max(self.others(), key=lambda other: other[1], default=("", 0.0))
        found = explain(letters_of(self.ref), letters_of(self.alt), self.offset, self.tokens, far=self.far)
        count = round(share * len(self.pos))
        near = found is not None and found.sure and abs(found.shift) <= REACH
        if found is None and share < AGREEING and 0 < (agrees & known).sum():
            return self._of_the_rest(known & ~agrees)
        if share < AGREEING or (found is not None and near and found.agreeing >= count):
            return found
        return Explanation(words, "give the positions and the reference of one assembly", count, sure=True)

    def _of_the_rest(self, rows: NDArray[np.bool_]) -> Explanation | None:
        """What would surely make those alleles agree that do not, (n,), as where data of two sources were joined."""
        ref, alt = ([one for one, here in zip(of, rows, strict=True) if here] for of in (self.ref, self.alt))
        found = explain(letters_of(ref), letters_of(alt), self.offset[rows], self.tokens)
        if found is None or not found.sure:
            return None
        agreeing_then = int(self.agrees.sum()) + found.agreeing
        return found._replace(words=f"of those rows {found.words}", agreeing=agreeing_then, elsewhere=found.shift != 0)

    def why(self, found: Explanation | None, *, few: bool = False) -> str:
        """Why refs are not the reference's, after a colon or a comma; found: as of `explanation`, few: as of its `because`."""
        if self.mostly_masked:
            return f": the reference is masked, N at {int(self.masked.sum())} of them"
        if found is None:
            return ", on either strand or at any shift; another sequence, or another assembly?"
        return f": {found.because(len(self.pos), few=few)}"

    def advice(self, found: Explanation | None, otherwise: str = "") -> str:
        """What to do about refs that are not the reference's; otherwise: where nothing explains them."""
        if self.mostly_masked:
            return "give the reference unmasked or soft-masked"
        return otherwise if found is None else found.advice


def _fill(around: NDArray[np.uint8], genome: Genome, contig: str, first: int) -> None:
    """Write a contig's bases from `first` on, 0-based, into what is N."""
    size = genome.length(contig) or 0
    start, end = min(max(first, 0), size), min(max(first + len(around), 0), size)
    if end > start:
        around[start - first : end - first] = bases_to_tokens(genome.fetcher(contig)(start, end))
