"""Whether a VCF's REFs are the genome's, and if most are not, what else they could be."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from nrtune.orchestrator.inference.variant_file import Variant
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.alleles import AGREEING, REACH
from nrtune.trainables.data.findings import REF_DISAGREES, Finding
from nrtune.trainables.data.genome import Genome
from nrtune.trainables.data.variant_windows import bases

SAMPLE = 1000
"""Records that are looked at, a VCF's first."""

_FEW, _FEWEST = 8, 3
"""Fewer places than _FEW agree with one of forty shifts by chance too often: only the nearest are tried, and nothing is refused.
Fewer than _FEWEST say nothing."""

_OPPOSITE = str.maketrans("ACGT", "TGCA")


class _Guess(NamedTuple):
    """What could be wrong, whether predictions are then wrong too, what to do, and whether it agrees with a place."""

    error: bool
    what: str
    advice: str
    agrees: Callable[[_Place], bool]


class _Place(NamedTuple):
    """A record's REF and first ALT, and the genome's bases from REACH before it on; blank beyond the contig."""

    ref: str
    alt: str
    around: str

    def at(self, shift: int, length: int) -> str:
        """The genome's bases at the record's place, so many bases to the right."""
        return self.around[REACH + shift : REACH + shift + length]


def check_references(sample: Sequence[Variant], genome: Genome) -> Finding | None:
    """What is wrong with the REFs of a VCF's first records; None unless most of them are not the genome's.

    An error where they are those of another place or of the other strand: some then agree by chance with what is at their own,
    and would get the effects of other variants.
    """
    places = _places(sample, genome)
    if 2 * sum(place.at(0, len(place.ref)) == place.ref for place in places) >= len(places):
        return None
    few = len(places) < _FEW
    best, agree = max(((guess, sum(map(guess.agrees, places))) for guess in _guesses(few)), key=lambda one: one[1])
    sure = agree >= AGREEING * len(places) if not few else agree == len(places) >= _FEWEST
    of_first = f" of the first {SAMPLE} records" if len(sample) == SAMPLE else ""
    what = f"{best.what}, which agrees with {agree} of {len(places)}" if sure else "is the VCF on another assembly?"
    return Finding(
        id=REF_DISAGREES,
        severity="error" if best.error and sure and not few else "warning",
        what=f"most REFs{of_first} are not those of {genome.path.name}: {what}",
        advice=best.advice if sure else "",
    )


def _guesses(few: bool) -> Iterator[_Guess]:
    for shift in range(1, 2 if few else REACH + 1):
        for to in (shift, -shift):
            what = f"positions are {shift} too {'low' if to > 0 else 'high'}"
            yield _Guess(True, what, "mend them", functools.partial(_is_shifted, to))
    yield _Guess(True, "REF and ALT are of the other strand", "complement them", _is_complement)
    yield _Guess(False, "REF and ALT are swapped", "swap them to have effects", _is_swapped)
    yield _Guess(False, "it has N there, as a hard-masked genome has", "give it unmasked or soft-masked", _is_masked)


def _is_shifted(by: int, place: _Place) -> bool:
    return place.at(by, len(place.ref)) == place.ref


def _is_complement(place: _Place) -> bool:
    other = place.ref.translate(_OPPOSITE)
    return place.at(0, len(place.ref)) in (other, other[::-1])


def _is_swapped(place: _Place) -> bool:
    return bool(place.alt) and place.at(0, len(place.alt)) == place.alt


def _is_masked(place: _Place) -> bool:
    return place.at(0, len(place.ref)) == "N" * len(place.ref)


def _places(sample: Sequence[Variant], genome: Genome) -> list[_Place]:
    """What can be compared of the records: each place once."""
    found: dict[tuple[str, int, str], _Place] = {}
    for record in sample:
        ref, size = bases(record.ref), genome.length(record.contig)
        if set(ref) - set("ACGT") or size is None or not 0 <= record.start < size:
            continue
        alt = bases(record.alts[0]) if record.alts else ""
        first = record.start - REACH
        last = record.start + max(len(ref), len(alt)) + REACH
        try:
            letters = genome.fetcher(record.contig)(max(first, 0), min(last, size))
        except UserError:  # a torn file, which is said where a window needs what is missing
            continue
        around = " " * max(-first, 0) + bases(letters)
        found[record.contig, record.start, ref] = _Place(ref, alt, around)
    return list(found.values())
