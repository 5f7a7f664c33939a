"""Windows around the alleles of a genome: what a model is shown of a variant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.data.sequences import BASES, N_TOKEN

LONGEST = 50
"""Bases of the longest allele whose effect is predicted, what ref and alt share at their ends not counted."""

_TOKEN = np.full(256, N_TOKEN, np.uint8)
for _index, _base in enumerate(BASES):
    _TOKEN[[ord(_base), ord(_base.lower())]] = _index


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


def allele_windows(
    fetch: Callable[[int, int], str], contig_length: int, start: int, ref: str, alt: str, length: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The (length,) tokens of ref and alt: both begin length // 2 bases before the first base that differs.

    In the alt window what lies behind a deletion moves up, and behind an insertion moves out; a single base is at
    index length // 2 of both, as in CAGI5's windows. N stands beyond the contig's ends and for letters other than
    A C G T. fetch: gives the contig's bases [from, to), 0-based; start, ref, alt: as in `trim`, alleles of A C G T.
    """
    start, ref, alt = trim(start, ref.upper(), alt.upper())
    first, last = start - length // 2, start - length // 2 + length + len(ref)
    inside = fetch(max(first, 0), min(last, contig_length))
    whole = np.full(last - first, N_TOKEN, np.uint8)
    offset = max(-first, 0)
    whole[offset : offset + len(inside)] = bases_to_tokens(inside)
    centre = start - first
    changed = np.concatenate([whole[:centre], bases_to_tokens(alt), whole[centre + len(ref) :]])
    return whole[:length], changed[:length]


def bases_to_tokens(text: str) -> NDArray[np.uint8]:
    """Tokens of bases, N for any letter that is none."""
    return _TOKEN[np.frombuffer(text.encode("ascii", "replace"), np.uint8)]
