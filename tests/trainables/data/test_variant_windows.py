"""Windows of variants: one variant has one pair of them, however it is written, and what they lack is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from nrtune.trainables.data.sequences import to_text
from nrtune.trainables.data.variant_windows import allele_windows, left_align, trim, variant_windows

LENGTH = 12


def fetch_of(contig: str) -> Callable[[int, int], str]:
    def fetch(start: int, end: int) -> str:
        assert 0 <= start
        assert end <= len(contig)
        return contig[start:end]

    return fetch


def windows_of(contig: str, start: int, ref: str, alt: str, length: int = LENGTH):
    return variant_windows(fetch_of(contig), len(contig), start, ref, alt, length)


def shown(contig: str, start: int, ref: str, alt: str) -> tuple[str, str]:
    found = windows_of(contig, start, ref, alt)
    return to_text(found.ref), to_text(found.alt)


@pytest.mark.parametrize(
    ("contig", "written", "aligned"),
    [
        ("GGCAAAAT", (5, "AA", "A"), (3, "A", "")),
        ("GGCAAAAT", (6, "A", "AA"), (3, "", "A")),
        ("GGCAAAAT", (2, "CA", "C"), (3, "A", "")),
        ("GCACACAT", (3, "CAC", "C"), (1, "CA", "")),
        ("GCACACAT", (4, "ACA", "A"), (1, "CA", "")),
        ("GCACACAT", (6, "A", "ACA"), (1, "", "CA")),
        ("gcacacat", (6, "a", "aca"), (1, "", "CA")),
        ("GCAUUUUG", (5, "TT", "T"), (3, "T", "")),
        ("AAAAT", (2, "AA", "A"), (0, "A", "")),  # the contig's start
        ("AAAAT", (3, "A", "AAA"), (0, "", "AA")),
        ("GGCNAAAT", (5, "AA", "A"), (4, "A", "")),  # N is no base of the repeat
        ("GGCAAAAT", (5, "AA", "G"), (5, "AA", "G")),  # it changes bases as well
        ("GGCAAAAT", (5, "A", "G"), (5, "A", "G")),
        ("GGCAAAAT", (5, "GG", "G"), (5, "G", "")),  # the contig has no G there: it is no deletion of its bases
    ],
)
def test_an_indel_is_moved_as_far_to_the_left_as_it_goes(contig, written, aligned):
    assert left_align(fetch_of(contig), *written) == aligned


def test_a_long_repeat_is_passed_whole():
    contig = "G" + "CAT" * 300 + "CC"
    assert left_align(fetch_of(contig), 898, "CATC", "C") == (1, "CAT", "")
    assert windows_of(contig, 898, "CATC", "C").left_aligned == 898


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ((5, "AA", "A"), 3),  # POS goes to the base before the first that is deleted
        ((2, "CA", "C"), 0),
        ((2, "CAA", "CA"), 0),
        ((1, "GCA", "GC"), 0),
        ((6, "A", "AA"), 4),
        ((4, "A", "G"), 0),
    ],
)
def test_how_far_a_position_goes_is_told(written, moved):
    assert windows_of("GGCAAAAT", *written).left_aligned == moved


def ways_to_write(contig: str, changed: str) -> Iterator[tuple[int, str, str]]:
    """Each start, ref and alt, with up to three bases around, that make one sequence of another by one indel."""
    shorter = len(contig) - len(changed)
    for start in range(len(contig) + 1):
        deleted, put_in = max(shorter, 0), max(-shorter, 0)
        whole = contig[:start] + changed[start : start + put_in] + contig[start + deleted :]
        if whole != changed or start + deleted > len(contig):
            continue
        for before in range(min(start, 3) + 1):
            for behind in range(min(len(contig) - start - deleted, 3) + 1):
                if before + behind:
                    first, last = start - before, start + deleted + behind
                    yield first, contig[first:last], changed[first : last - shorter]


def test_all_ways_to_write_one_indel_have_one_pair_of_windows():
    """Random repeats of units of one to four bases, with their ends, and random deletions and insertions in them."""
    rng = np.random.default_rng(0)
    several = 0
    for _ in range(300):
        unit = "".join(rng.choice(list("ACGT"), rng.integers(1, 5)))
        ends = ["".join(rng.choice(list("ACGT"), rng.integers(0, 12))) for _ in range(2)]
        contig = ends[0] + unit * int(rng.integers(1, 8)) + unit[: rng.integers(len(unit))] + ends[1]
        start, size = int(rng.integers(len(contig) + 1)), int(rng.integers(1, 6))
        if rng.random() < 0.5:
            put_in = (unit * 6)[:size] if rng.random() < 0.7 else "".join(rng.choice(list("ACGT"), size))
            changed = contig[:start] + put_in + contig[start:]
        else:
            changed = contig[:start] + contig[start + size :]
        if changed in ("", contig):
            continue
        ways = list(ways_to_write(contig, changed))
        pairs = {shown(contig, *way) for way in ways}
        assert len(pairs) == 1, (contig, changed, ways)
        aligned = {left_align(fetch_of(contig), *way) for way in ways}
        assert len(aligned) == 1
        (at, ref, alt) = next(iter(aligned))
        assert contig[:at] + alt + contig[at + len(ref) :] == changed
        assert at == min(trim(*way)[0] for way in ways)
        several += len({trim(*way)[0] for way in ways}) > 1
    assert several > 100


def test_what_is_left_aligned_already_has_the_windows_that_it_had():
    rng = np.random.default_rng(1)
    contig = "".join(rng.choice(list("ACGTacgtN"), 200))
    fetch = fetch_of(contig)
    same = 0
    for _ in range(500):
        start, size = int(rng.integers(200)), int(rng.integers(1, 4))
        ref = contig[start : start + size].upper()
        alt = "".join(rng.choice(list("ACGT"), rng.integers(1, 4)))
        at, left, changed = trim(start, ref, alt)
        if left_align(fetch, start, ref, alt) != (at, left, changed):
            continue
        same += 1
        found = windows_of(contig, start, ref, alt)
        for one, before in zip(found[:2], allele_windows(fetch, 200, start, ref, alt, LENGTH), strict=True):
            assert (one == before).all()
    assert same > 400


@pytest.mark.parametrize(
    ("contig", "written", "n_bases", "padded", "mostly_n"),
    [
        ("ACGTACGTACGTACGTACGT", (10, "G", "T"), 0, 0, False),
        ("ACGTACGTACGTACGTACGT", (0, "A", "T"), 0, 6, False),
        ("ACGTACGTACGTACGTACGT", (19, "T", "A"), 0, 5, False),
        ("ACGTACGTACGTACGTACGT", (16, "ACGT", "A"), 0, 6, False),  # what moves up is beyond the end
        ("ACGTACGNACGTRCGTACGT", (10, "G", "T"), 2, 0, False),
        ("NNNNNNNNNNGNNNNNNNNN", (10, "G", "T"), 11, 0, True),
        ("ACGTANNNNNGNACGTACGT", (10, "G", "T"), 6, 0, False),  # half is not more than half
        ("ACGTNNNNNNGNACGTACGT", (10, "G", "T"), 7, 0, True),
        ("NNNGACGTAC", (0, "N", "T"), 3, 6, True),
        ("ACG", (1, "C", "T"), 0, 9, True),
    ],
)
def test_what_a_window_lacks_is_counted(contig, written, n_bases, padded, mostly_n):
    found = windows_of(contig, *written)
    assert (found.n_bases, found.padded, found.mostly_n) == (n_bases, padded, mostly_n)


def test_lower_case_counts_as_bases_and_u_as_t():
    found = windows_of("acgtacgtacgtacGTACGT", 10, "G", "T")
    assert to_text(found.ref) == "ACGTACGTACGT"
    assert (found.n_bases, found.lower_case, found.uracils) == (0, 10, 0)
    rna = windows_of("ACGUACGUACGUACGuACGU", 10, "G", "U")
    assert (rna.ref == found.ref).all()
    assert (rna.alt == found.alt).all()
    assert rna.uracils == 3
