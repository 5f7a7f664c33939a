"""Whether alleles are a reference's bases where they say, and if not, what change of them would make them so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from nrtune.trainables.data.sequences import BASES, COMPLEMENT, N_TOKEN

AGREEING = 0.9
"""The share of alleles that agree with what they are of; below it they are taken to mean something else."""

REACH = 20
"""Bases either way that positions are tried at, whatever else is wrong with the alleles."""

BY_CHANCE = 0.01
"""An explanation is sure where one of all that were tried would agree as well by chance in so many data sets."""

_FAR = 5 * 10**7
"""Comparisons that the search for a shift by more than REACH may take."""

_NO_BASE, _PAD = 254, 255


class Explanation(NamedTuple):
    """What would make alleles agree, in words, and what to do.

    agreeing: how many would. sure: whether that is more than chance. shift: bases further on, as far as one knows. elsewhere:
    whether the alleles are of other places, or of the other strand, so that those which agree as they are do so by chance.
    """

    words: str
    advice: str
    agreeing: int
    sure: bool
    shift: int = 0
    elsewhere: bool = True

    def because(self, of: int, *, few: bool = False) -> str:
        """The clause that explains why alleles, so many, do not agree; few: as these may do so mended by chance, too."""
        if few:
            return f"perhaps {self.words}; mended, {self.agreeing} of {of} agree, but so few may do so by chance"
        return f"{self.words}; mended, {self.agreeing} of {of} agree"


def letters_of(alleles: Sequence[str]) -> NDArray[np.uint8]:
    """(n, longest) tokens of alleles of different lengths; what is no base agrees with nothing."""
    longest = max(map(len, alleles), default=1) or 1
    found = np.full((len(alleles), longest), _PAD, np.uint8)
    code = {base: number for number, base in enumerate(BASES[:N_TOKEN])}
    for row, allele in enumerate(alleles):
        found[row, : len(allele) or 1] = [code.get(letter, _NO_BASE) for letter in allele] or _NO_BASE
    return found


def agreeing(letters: NDArray[np.uint8], offset: NDArray[np.int64], tokens: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,) whether alleles, (n, longest), are what tokens (L,) hold from their offsets (n,) on; nothing beyond L agrees."""
    found = np.ones(len(letters), bool)
    for place in range(letters.shape[1]):
        found &= (letters[:, place] == _PAD) | (bases_at(tokens, offset + place) == letters[:, place])
    return found


def bases_at(tokens: NDArray[np.uint8], offset: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The (n,) tokens at offsets, N beyond the ends."""
    inside = (offset >= 0) & (offset < len(tokens))
    found = np.full(len(offset), N_TOKEN, np.uint8)
    found[inside] = tokens[offset[inside]]
    return found


def explain(
    ref: NDArray[np.uint8],
    alt: NDArray[np.uint8],
    offset: NDArray[np.int64],
    tokens: NDArray[np.uint8],
    *,
    far: bool = False,
    sparse: bool = False,
) -> Explanation | None:
    """The simplest change with which most of n alleles agree with a reference, AGREEING of them or more; None if none does.

    Tried are positions up to REACH bases either way, the other strand's alleles, Ref and Alt swapped, and each of these
    with a shift. ref, alt: (n, longest), as of `letters_of`. offset: (n,) of the alleles in the reference's tokens (L,).
    far: whether all other shifts that leave some of them inside are tried, too. sparse: whether the reference is known at some
    places alone, N elsewhere, so that only alleles at these count; then what may be chance is no explanation.
    """
    best: tuple[int, _Change, NDArray[np.bool_]] | None = None
    tried = 0
    for change in _changes(ref, alt, offset, len(tokens), far):
        tried += 1
        flags = agreeing(change.letters, offset + change.shift, tokens)
        count = int(flags.sum())
        of = int((bases_at(tokens, offset + change.shift) != N_TOKEN).sum()) if sparse else len(ref)
        if count and count >= AGREEING * of and (best is None or count > best[0]):
            best = count, change, flags
    if best is None:
        return None
    count, change, flags = best
    places = len(np.unique(offset[flags]))
    of_places = places if sparse else len(np.unique(offset))
    expected = tried * float(binom.sf(places - 1, of_places, _chance(change.letters, tokens)))
    if sparse and expected >= BY_CHANCE:
        return None
    swapped = change.letters is alt and change.shift == 0
    return Explanation(change.words, change.advice, count, expected < BY_CHANCE, change.shift, elsewhere=not swapped)


def shift_words(shift: int) -> str:
    """What is wrong with positions that agree so many bases further on."""
    words = f"the positions are {abs(shift)} too {'low' if shift > 0 else 'high'}"
    if abs(shift) > REACH:
        return f"{words} (another assembly?)"
    return f"{words} (0-based?)" if shift == 1 else words


class _Change(NamedTuple):
    """What is tried: in words, what to do, and alleles (n, longest) at positions so many bases further on."""

    words: str
    advice: str
    letters: NDArray[np.uint8]
    shift: int


def _changes(
    ref: NDArray[np.uint8], alt: NDArray[np.uint8], offset: NDArray[np.int64], length: int, far: bool
) -> Iterator[_Change]:
    """All that is tried, the simplest first."""
    near = [sign * size for size in range(1, REACH + 1) for sign in (1, -1)]
    mend = "give 1-based positions of the reference"
    strand, its_own = "Ref and Alt are the other strand's", "give both alleles of its strand"
    changes = [
        _Change(strand, its_own, _other_strand(ref), 0),
        _Change("Ref and Alt are swapped", "exchange them, and see whether values are of Alt less Ref", alt, 0),
    ]
    if ref.shape[1] > 1:  # alleles of several bases, each complemented where it stands
        changes.insert(1, _Change(strand, its_own, _complement(ref), 0))
    yield from (_Change(shift_words(shift), mend, ref, shift) for shift in near)
    yield from changes
    for shift in near:
        for words, advice, letters, _ in changes:
            yield _Change(f"{words}, and {shift_words(shift)}", f"{advice}, and {mend}", letters, shift)
    if far and len(offset):
        first, last = -int(offset.max()), length - 1 - int(offset.min())
        if (last - first) * len(offset) <= _FAR:
            beyond = (shift for shift in range(first, last + 1) if abs(shift) > REACH)
            yield from (_Change(shift_words(shift), mend, ref, shift) for shift in beyond)


def _other_strand(letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    found = np.full_like(letters, _PAD)
    for row, allele in enumerate(letters):
        bases = allele[allele != _PAD][::-1]
        found[row, : len(bases)] = _complement(bases)
    return found


def _complement(letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(letters < N_TOKEN, COMPLEMENT[np.minimum(letters, N_TOKEN)], letters)


def _chance(letters: NDArray[np.uint8], tokens: NDArray[np.uint8]) -> float:
    """How often a random place of the reference agrees with an allele."""
    of_alleles = np.bincount(letters[:, 0], minlength=256)[:N_TOKEN] / max(len(letters), 1)
    of_reference = np.bincount(tokens, minlength=256)[:N_TOKEN]
    of_reference = of_reference / max(of_reference.sum(), 1)
    return float(of_alleles @ of_reference)
