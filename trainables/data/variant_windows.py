"""Windows around the alleles of a genome: what a model is shown of a variant."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.sequences import BASES, N_TOKEN

LONGEST = 50
"""Bases of the longest allele whose effect is predicted, what ref and alt share at their ends not counted."""

_TOKEN = np.full(256, N_TOKEN, np.uint8)
for _index, _base in enumerate(BASES):
    _TOKEN[[ord(_base), ord(_base.lower())]] = _index
_TOKEN[[ord("U"), ord("u")]] = BASES.index("T")

_STEP = 64
"""Bases that are read at once to the left of an indel."""


class Windows(NamedTuple):
    """The (length,) tokens of ref and alt, and how they came to be; where their counts differ, the larger.

    left_aligned: by how many bases the VCF's position of an indel goes to the left when it is normalised. n_bases: letters of the
    contig that are none of A C G T. padded: places beyond the contig's ends, N as well. lower_case, uracils: such letters of the
    contig, taken for what they are in upper case, and for T.
    """

    ref: NDArray[np.uint8]
    alt: NDArray[np.uint8]
    left_aligned: int
    n_bases: int
    padded: int
    lower_case: int
    uracils: int

    @property
    def mostly_n(self) -> bool:
        """Whether more than half of a window is N: it then says next to nothing of the variant's surroundings."""
        return max(map(_unknown, (self.ref, self.alt))) * 2 > len(self.ref)


def bases(letters: str) -> str:
    """A FASTA file's or a VCF's letters in upper case, U taken for T."""
    return letters.upper().replace("U", "T")


def trim(start: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Take off what ref and alt share, at the end first, then at the beginning: what is left, and where that starts.

    The alleles of a VCF share a base where one is shorter; here one may be empty. start: 0-based, and so is the result.
    """
    end = 0
    while end < min(len(ref), len(alt)) and ref[-1 - end] == alt[-1 - end]:
        end += 1
    ref, alt = ref[: len(ref) - end], alt[: len(alt) - end]
    shared = 0
    while shared < min(len(ref), len(alt)) and ref[shared] == alt[shared]:
        shared += 1
    return start + shared, ref[shared:], alt[shared:]


def left_align(fetch: Callable[[int, int], str], start: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Alleles as `trim` leaves them, an insertion or deletion moved to the left as far as the sequence stays the same.

    An indel in a repeat can be written at each of its places, and is one variant all the same: this is its normalised form (Tan,
    Abecasis and Kang 2015, doi:10.1093/bioinformatics/btv112), which ends at the contig's start. What deletes other bases than
    the contig has, or changes bases as well, stays where it is. fetch, start: as in `allele_windows`.
    """
    start, ref, alt = trim(start, bases(ref), bases(alt))
    unit = ref or alt
    if (ref and alt) or not unit or bases(fetch(start, start + len(ref))) != ref:
        return start, ref, alt
    moved, step, same = 0, _STEP, True
    while same and moved < start:
        before = bases(fetch(max(start - moved - step, 0), start - moved))
        for base in reversed(before):
            same = base == unit[(-1 - moved) % len(unit)]
            if not same:
                break
            moved += 1
        step *= 2
    turned = len(unit) - moved % len(unit)
    unit = unit[turned:] + unit[:turned]
    return start - moved, unit if ref else "", unit if alt else ""


def variant_windows(
    fetch: Callable[[int, int], str], contig_length: int, start: int, ref: str, alt: str, length: int
) -> Windows:
    """The windows of a variant of a VCF or a table, left-aligned first: one for each way in which an indel can be written.

    Arguments: as in `allele_windows`, which says what windows are.
    """
    at, left, changed = left_align(fetch, start, ref, alt)
    first = at - length // 2
    from_, to = max(first, 0), min(first + length + len(left), contig_length)
    letters = fetch(from_, to)
    windows = allele_windows(lambda a, b: letters[a - from_ : b - from_], contig_length, at, left, changed, length)
    ends = (first + length, first + length + len(left) - len(changed))
    padded = [max(-first, 0) + max(end - contig_length, 0) for end in ends]
    indel = bool(left) != bool(changed)
    return Windows(
        *windows,
        left_aligned=max(start - max(at - 1, 0), 0) if indel else 0,
        n_bases=max(_unknown(window) - beyond for window, beyond in zip(windows, padded, strict=True)),
        padded=max(padded),
        lower_case=int(
            np.count_nonzero(np.frombuffer(letters[:length].encode("ascii", "replace"), np.uint8) >= ord("a"))
        ),
        uracils=letters.count("U") + letters.count("u"),
    )


def _unknown(window: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(window == N_TOKEN))


def allele_windows(
    fetch: Callable[[int, int], str], contig_length: int, start: int, ref: str, alt: str, length: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The (length,) tokens of ref and alt: both begin length // 2 bases before the first base that differs.

    In the alt window what lies behind a deletion moves up, and behind an insertion moves out; a single base is at
    index length // 2 of both, as in CAGI5's windows. N stands beyond the contig's ends and for letters other than
    A C G T and U. An indel stays where it is written; `variant_windows` moves it. fetch: gives the contig's bases [from, to),
    0-based; start, ref, alt: as in `trim`, alleles of A C G T.
    """
    start, ref, alt = trim(start, bases(ref), bases(alt))
    first, last = start - length // 2, start - length // 2 + length + len(ref)
    inside = fetch(max(first, 0), min(last, contig_length))
    whole = np.full(last - first, N_TOKEN, np.uint8)
    offset = max(-first, 0)
    whole[offset : offset + len(inside)] = bases_to_tokens(inside)
    centre = start - first
    changed = np.concatenate([whole[:centre], bases_to_tokens(alt), whole[centre + len(ref) :]])
    return whole[:length], changed[:length]


def bases_to_tokens(text: str) -> NDArray[np.uint8]:
    """Tokens of bases, T for U, N for any letter that is none."""
    return _TOKEN[np.frombuffer(text.encode("ascii", "replace"), np.uint8)]
